"""WeChat Pay's side, locally: merchant transfer with signed answers, a merchant's money, phones that confirm."""
