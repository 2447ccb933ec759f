"""The platform's API, as a peer: every call the service makes to api.weixin.qq.com, refused where WeChat refuses."""
