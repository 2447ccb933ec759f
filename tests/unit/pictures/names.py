"""Names that break posters elsewhere."""

NASTY = {
    "plain": "李姐",
    "emoji": "李姐🌸",
    "family": "👨‍👩‍👧‍👦一家人👩🏽‍⚕️👩‍❤️‍💋‍👨",
    "flags": "🇨🇳🇭🇰🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f🇨",
    "skin": "👍🏽👋🏿🧑🏻‍🤝‍🧑🏿",
    "keycap": "1️⃣8️⃣号☎️❤☕⭐",
    "long": "特别特别长的名字" * 7 + "末尾四字",
    "long emoji": "👨‍👩‍👧‍👦" * 30,
    "rtl": "\u202e\u2067abc\u200f李\u061c",
    "zero width": "李\u200b\u2060\ufeff\u200c\u200d姐\u00ad",
    "rare": "\U00020bb7野家\U00030ede",
    "empty": "",
    "blank": " \u3164\u2800\t\n",
    "only emoji": "🌸",
    "arabic": "محمد علي",
    "thai and fancy": "สวัสดี 𝓛𝓲𝓵𝔂 ⓛ",
    "zalgo": "Z\u0338\u0327\u0322a\u0300\u0301\u0302",
    "markup": "<script>{title}%s\\{0}</script>",
    "surrogate": "a\ud800b\udfff",
    "private": "\ue000\U000f0000x",
}
