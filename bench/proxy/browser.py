"""What Chromium sends with each request of a JupyterLab page."""

HOST = "hub.example.org"
_PAGE = f"https://{HOST}/user/{{name}}/lab/tree/work/analysis.ipynb"
_XSRF = "2|5f0c4e3a|8a1d0c53b2f44e67a9c5d1e08f7b6a24|1732150000"
_COOKIE = (
    f"_xsrf={_XSRF}; "
    'username-hub-example-org="2|1:0|10:1732150000|23:username-hub-example-org|'
    "44:YTQ1ZmJkZGI2ZDM1NDg1Zjk2ZDc4YzM1YmQ5YzU0MTA=|"
    '8d2f6a41c0e97b35d4f1a2680b9c7e53f6d8a1407c3e92b5d60f8a1c4e7b2935"; '
    "_ga=GA1.1.1203948576.1732140000"
)
_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)


def request_headers(name: str) -> dict[str, str]:
    """Give the headers of a request that a page in environment ``name`` makes."""
    return {
        "Host": HOST,
        "Connection": "keep-alive",
        "sec-ch-ua-platform": '"Linux"',
        "X-XSRFToken": _XSRF,
        "User-Agent": _AGENT,
        "sec-ch-ua": '"Chromium";v="131", "Not_A Brand";v="24"',
        "Content-Type": "application/json",
        "sec-ch-ua-mobile": "?0",
        "Accept": "*/*",
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "cors",
        "Sec-Fetch-Dest": "empty",
        "Referer": _PAGE.format(name=name),
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Accept-Language": "en-GB,en-US;q=0.9,en;q=0.8",
        "Cookie": _COOKIE,
    }


def upgrade_headers() -> dict[str, str]:
    """Give the headers of a WebSocket's opening."""
    return {
        "Host": HOST,
        "Connection": "Upgrade",
        "Pragma": "no-cache",
        "Cache-Control": "no-cache",
        "User-Agent": _AGENT,
        "Upgrade": "websocket",
        "Origin": f"https://{HOST}",
        "Sec-WebSocket-Version": "13",
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Accept-Language": "en-GB,en-US;q=0.9,en;q=0.8",
        "Cookie": _COOKIE,
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
