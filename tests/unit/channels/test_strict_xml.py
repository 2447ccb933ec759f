"""XML as an attacker writes it: refused as one kind of fault, without a file or socket ever being opened."""

import sys
from contextlib import contextmanager

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.runtime.channels.faults import Unusable
from bot.runtime.channels.strict_xml import MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, each, parse
from bot.runtime.channels.wechat import Malformed, Refused, TooLarge, open_callback
from tests.examples import examples
from tests.unit.channels import wechat_peer as peer

INNER = peer.text_xml().removeprefix("<xml>").removesuffix("</xml>")
WHOLE = peer.text_xml()


def entities(declaration, use="&a;"):
    return f'<?xml version="1.0"?><!DOCTYPE xml [{declaration}]><xml>{INNER}<Label>{use}</Label></xml>'


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
ATTACKS = {
    "billion laughs": entities('<!ENTITY l0 "lol">' + LAUGHS, "&l9;"),
    "quadratic blow-up": entities(f'<!ENTITY a "{"x" * 20_000}">', "&a;" * 10_000)[:MAX_BYTES],
    "external file": entities('<!ENTITY a SYSTEM "file:///etc/passwd">'),
    "external address": entities('<!ENTITY a SYSTEM "http://127.0.0.1:9/x">'),
    "external public": entities('<!ENTITY a PUBLIC "x" "http://127.0.0.1:9/x">'),
    "parameter entity": entities('<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;', ""),
    "parameter entity, internal": entities("<!ENTITY % p '<!ENTITY a \"x\">'> %p;"),
    "unparsed entity": entities('<!NOTATION n SYSTEM "n"><!ENTITY a SYSTEM "file:///etc/passwd" NDATA n>', ""),
    "DTD only": f"<!DOCTYPE xml><xml>{INNER}</xml>",
    "external DTD": f'<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml>{INNER}</xml>',
    "DTD after blanks": f"  \n<!DOCTYPE xml><xml>{INNER}</xml>",
    "DTD behind a comment": f"<!-- --><!DOCTYPE xml><xml>{INNER}</xml>",
    "DTD inside the root": f"<xml><!DOCTYPE xml [<!ENTITY a 'x'>]>{INNER}</xml>",
    "DTD after the root": f"{WHOLE}<!DOCTYPE xml>",
    "default attributes": f'<!DOCTYPE xml [<!ATTLIST xml a CDATA "x">]><xml>{INNER}</xml>',
    "unknown entity": f"<xml>{INNER}<Label>&a;</Label></xml>",
    "deep": "<xml>" + "<a>" * 9_000 + "</a>" * 9_000 + "</xml>",
    "100k deep": "<xml>" + "<a>" * 100_000,
    "100k siblings": "<xml>" + "<a/>" * 100_000 + "</xml>",
    "siblings within the size": "<xml>" + "<a/>" * 15_000 + "</xml>",
    "many attributes": "<xml " + " ".join(f'a{n}=""' for n in range(6_000)) + f">{INNER}</xml>",
    "attribute": f'<xml>{INNER}<Label a="1">x</Label></xml>',
    "namespace": f'<xml xmlns="urn:x">{INNER}</xml>',
    "include": f'<xml xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="/etc/passwd"/>{INNER}</xml>',
    "two types": WHOLE.replace("<MsgType>", "<MsgType>event</MsgType><MsgType>", 1),
    "two contents": WHOLE.replace("<Content>", "<Content>x</Content><Content>", 1),
    "two senders": WHOLE.replace("<FromUserName>", "<FromUserName/><FromUserName>", 1),
    "two branches": "<xml><a><b>1</b></a><a><b>2</b></a></xml>",
    "open CDATA": f"<xml>{INNER}<Label><![CDATA[x",
    "CDATA end in text": f"<xml>{INNER}<Label>x]]>y</Label></xml>",
    "element after a CDATA end": peer.text_xml("x]]></Content><MsgType>event</MsgType><Content><![CDATA["),
    "CDATA in CDATA": peer.text_xml("<![CDATA[x]]>]]>"),
    "CDATA between elements": f"<xml><![CDATA[x]]>{INNER}</xml>",
    "text between elements": f"<xml>x{INNER}</xml>",
    "text and no elements": "<xml>x</xml>",
    "NUL": peer.text_xml("a\x00b"),
    "NUL reference": f"<xml>{INNER}<Label>&#0;</Label></xml>",
    "surrogate reference": f"<xml>{INNER}<Label>&#xD800;</Label></xml>",
    "control reference": f"<xml>{INNER}<Label>&#x1b;</Label></xml>",
    "escape character": peer.text_xml("a\x1b[31mb"),
    "non-character": peer.text_xml("a\ufffeb"),
    "comment": f"<xml>{INNER}<!-- x --></xml>",
    "comment in a text": peer.text_xml("x]]><!-- --><![CDATA[y"),
    "processing instruction": f"<xml><?php system('id') ?>{INNER}</xml>",
    "stylesheet": f'<?xml version="1.0"?><?xml-stylesheet href="file:///etc/passwd"?><xml>{INNER}</xml>',
    "XML 1.1": f'<?xml version="1.1"?><xml>{INNER}</xml>',
    "two roots": WHOLE + WHOLE,
    "rest behind": WHOLE + "x",
    "another root": f"<html>{INNER}</html>",
    "empty": "",
    "blank": " \n ",
    "JSON": '{"MsgType":"text"}',
    "unclosed": WHOLE.removesuffix("</xml>"),
    "wrongly closed": WHOLE.replace("</Content>", "</content>"),
    "BOM": "\ufeff" + WHOLE,
    "UTF-16": WHOLE.encode("utf-16"),
    "UTF-16 without a mark": WHOLE.encode("utf-16-le"),
    "UTF-16 declared": f'<?xml version="1.0" encoding="utf-16"?><xml>{INNER}</xml>'.encode("utf-16"),
    "UTF-32": WHOLE.encode("utf-32"),
    "GBK": WHOLE.encode("gbk"),
    "lone surrogate": WHOLE.encode().replace("佣金".encode(), b"\xed\xa0\x80"),
    "overlong": WHOLE.encode().replace("佣金".encode(), b"\xc0\xbcMsgType>"),
    "beyond Unicode": WHOLE.encode().replace("佣金".encode(), b"\xf4\x90\x80\x80"),
    "cut character": WHOLE.encode().replace("佣金".encode(), b"\xe4\xbd"),
    **{
        f"declared {name}": f'<?xml version="1.0" encoding="{name}"?><xml>{INNER}</xml>'
        for name in (
            "utf-7",
            "utf-16",
            "unicode_escape",
            "raw_unicode_escape",
            "latin-1",
            "gbk",
            "idna",
            "rot13",
            "x" * 99,
            "",
        )
    },
}

_opened: list[str] = []
_watching = False


def _watch(event, _arguments):
    """What the interpreter reports whenever a file, a socket or a process is opened."""
    if _watching and event.split(".")[0] in ("open", "socket", "subprocess", "os", "urllib", "import", "ctypes"):
        _opened.append(event)


@pytest.fixture(scope="module")
def audit():
    """Installs the watch: for the life of the process, hence the switch."""
    sys.addaudithook(_watch)


@contextmanager
def watched():
    """Collects what is opened inside the block; the block gets the list."""
    global _watching
    _opened.clear()
    _watching = True
    try:
        yield _opened
    finally:
        _watching = False


@pytest.mark.usefixtures("audit")
def test_the_watch_sees():
    with watched() as opened:
        open(__file__).close()
    assert "open" in opened


def test_the_attacks_are_many():
    assert len(ATTACKS) >= 60


@pytest.mark.usefixtures("audit")
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_and_opens_nothing(name):
    attack = ATTACKS[name]
    data = attack if isinstance(attack, bytes) else attack.encode()
    with watched() as opened, pytest.raises(Unusable):
        parse(data)
    assert opened == []


@pytest.mark.parametrize("name", ATTACKS)
def test_a_signed_attack_is_quarantined_and_an_unsigned_one_never_parsed(name):
    request = peer.post_safe(ATTACKS[name])
    too_large = len(request.body) > MAX_BYTES
    with pytest.raises(TooLarge if too_large else Malformed):
        open_callback(peer.keys(), request.query, request.body, peer.NOW)
    with pytest.raises((TooLarge, Refused)):
        open_callback(peer.keys(), request.query, peer.post_plain(ATTACKS[name]).body, peer.NOW)


def test_what_the_platform_writes_is_read():
    head = '<?xml version="1.0" encoding="UTF-8" ?>\n<xml>\n'
    text = head + "<A><![CDATA[ a<b>&amp; ]]></A><B>1 &lt; 2</B>\n<C/><D><E>1</E></D></xml>\n"
    assert parse(text.encode()) == {"A": " a<b>&amp; ", "B": "1 < 2", "C": "", "D": {"E": "1"}}
    assert parse(b"<xml></xml>") == {}


def test_repeated_children_below_the_top_become_a_list():
    read = parse(b"<xml><L><i><t>1</t></i></L><M><i><t>1</t></i><i><t>2</t></i><i/></M></xml>")
    assert read == {"L": {"i": {"t": "1"}}, "M": {"i": [{"t": "1"}, {"t": "2"}, ""]}}
    assert [len(each(node["i"])) for node in (read["L"], read["M"])] == [1, 3]
    assert each(None) == each("") == []


def test_the_limits_are_exact():
    def deep(levels):
        return b"<xml>" + b"<a>" * (levels - 1) + b"</a>" * (levels - 1) + b"</xml>"

    def wide(elements):
        return b"<xml><a>" + b"<i/>" * (elements - 2) + b"</a></xml>"

    def long(size):
        return b"<xml><a>" + b"x" * (size - 18) + b"</a></xml>"

    assert len(long(100)) == 100
    for good, bad in (
        (deep(MAX_DEPTH), deep(MAX_DEPTH + 1)),
        (wide(MAX_ELEMENTS), wide(MAX_ELEMENTS + 1)),
        (long(MAX_BYTES), long(MAX_BYTES + 1)),
    ):
        assert parse(good)
        with pytest.raises(Unusable):
            parse(bad)


def test_an_unusable_text_never_quotes_what_people_wrote():
    with pytest.raises(Unusable) as fault:
        parse(b"<xml><a>13800138000</b></xml>")
    assert "138" not in str(fault.value)


PARTS = ["<A>", "</A>", "<A/>", "<B>", "</B>", "<B2_>x</B2_>", "<![CDATA[", "]]>", "]", "]]", ">", "<", "&", "&amp;",
         " ", "\n", "\t", "\r", "\r\n", "\x00", "\x0b", "\x1f", "\x7f", "\x85", "\u3000", "\u2028", "\ufdd0", "\uffe5",
         "\ufffd", "\ufffe", "\uffff", "\U0001f4b0", "\U0001ffff", "佣金", "<é>", "</é>", "<xml>", "</xml>", "<!-- -->",
         "<?p ?>", "[微笑]", "<C><![CDATA[", "]]></C>", "<D>1", "</D>", "<D>", "<e:f>", "</e:f>", "<2>", "</2>",
         "<A a='1'>", "<A >", "</A >"]
DECLARED = '<?xml version="1.0"?>'
"""Before what it stands, no pattern reads: expat does."""


def read(document):
    try:
        return parse(document.encode())
    except Unusable:
        return None


@examples(300)
@example(["\ufffe"])
@example(["\uffff"])
@example(["\r"])
@example(["\x0b"])
@example(["]]>"])
@example(["<B>", "</B>"] * 2)
@given(st.lists(st.sampled_from(PARTS), max_size=12))
def test_the_pattern_for_flat_documents_reads_what_expat_reads(parts):
    for document in (f"<xml>{''.join(parts)}</xml>", f"<xml><A>{''.join(parts)}</A></xml>",
                     f"<xml>\n<A><![CDATA[{''.join(parts)}]]></A><B>1</B>\n</xml>\n"):
        assert read(document) == read(DECLARED + document), document


@pytest.mark.parametrize("name", ATTACKS)
def test_the_pattern_for_flat_documents_refuses_what_expat_refuses(name):
    if isinstance(ATTACKS[name], str) and not ATTACKS[name].startswith("<?xml"):
        with pytest.raises(Unusable):
            parse((DECLARED + ATTACKS[name]).encode())


@pytest.mark.parametrize("made", [
    lambda n: "<xml>" + "<A>1</A>" * n + "</xml>",
    lambda n: "<xml><A><![CDATA[" + "]" * n + "]></A></xml>",
    lambda n: "<xml><A><![CDATA[" + "]]" * n,
    lambda n: "<xml>" + "\n" * n + "<A>",
    lambda n: "<xml><A>" + "1" * n + "</B></xml>",
    lambda n: "<xml><" + "a" * n + "></xml>",
    lambda n: "<xml>" + "".join(f"<A{i}><![CDATA[x]]></A{i}>" for i in range(n // 24)) + "<",
])
def test_the_pattern_for_flat_documents_is_done_at_once(made):
    """Where a pattern could be tried in two ways, sixty thousand characters would never end."""
    assert read(made(60_000)) == read(DECLARED + made(60_000))
