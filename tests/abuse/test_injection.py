"""Abuse cases 31 to 42: what is sent is data and never runs, and none of it costs more than it should.

31 operators of MongoDB, 32 expressions that back-track, 33 depth, 34 JSON that is none, 35 size, 36 gzip bombs, 37 XML
entities, 38 paths and formulas in files, 39 multipart floods, 40 script in narratives, 41 reflected input, 42 floods of history.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.access import staff
from tests.abuse.site import FORM, Browser, Site
from tests.abuse.test_compartment import observation

PASSWORD = "một mật khẩu rất dài"
OPERATORS = (
    '{"$ne":null}',
    '{"$gt":""}',
    "$where",
    "a.b",
    "$regex",
    ".*",
    "\x00",
    "a\x00b",
    "';return true;//",
    "[$ne]",
)
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'


def staff_browser(site: Site, role: str, address: str = "203.0.113.90") -> Browser:
    """A browser in which somebody with one role is logged in."""
    name = f"abuse-{role}"
    if all(each.id != name for each in staff.all_accounts(site.database)):
        staff.add_account(site.database, name, PASSWORD, roles=[role])
    browser = site.browser(address)
    assert browser.fill("/desk/login", name=name, password=PASSWORD).status == 303
    return browser


@pytest.mark.parametrize("text", OPERATORS)
def test_case_31_operators_of_mongodb_are_only_text(site: Site, text: str) -> None:
    """`$ne`, `$regex`, `$where`, dotted keys and NUL are text in every parameter and refused or text in every body."""
    value = quote(text)
    for query in (
        *(f"{name}={value}" for name in ("_id", "patient", "code", "date", "value-quantity", "identifier", "_sort")),
        *(
            f"_id{value}=1",
            f"{value}=1",
            f"_id=x&{value}",
            f"patient:{value}=1",
            f"code:text={value}",
            f"_elements={value}",
        ),
        *(f"_has:Observation:{value}:code=1", f"_include={value}", f"_count={value}", f"_lastUpdated={value}"),
    ):
        answer = site.a("GET", f"Observation?{query}")
        assert answer.status in (200, 400, 403), (query, answer.text[:200])
    for path in (
        f"Observation/{value}",
        f"{value}/x",
        f"Observation/x/_history/{value}",
        f"Patient/{value}/Observation",
    ):
        assert site.a("GET", path).status in (200, 400, 404)
    for body in (
        {**observation(), text: 1},
        observation(subject={text: "x"}),
        observation(code={"text": {text: 1}}),
        observation(subject={"reference": {text: None}}),
    ):
        assert site.a("POST", "Observation", body).status in (400, 422)
    sent = {
        "grant_type": text,
        "client_assertion": text,
        "client_assertion_type": text,
        "client_id": text,
        "code": text,
    }
    assert site.form("/auth/token", sent).status in (400, 401)
    assert site.browser("203.0.113.31").fill("/q", code=text).status in (403, 429)
    assert site.send("GET", "/fhir/Patient", token=quote(text)).status == 401


def test_case_32_no_text_makes_a_search_back_track(site: Site) -> None:
    """Texts that make regular expressions back-track are looked up as text: as few keys are read as for any other."""
    hostile = ("(a+)+$", "^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 4000 + "!", "(" * 500, "[" * 500, "\\" * 501, "%" * 99)
    for text in hostile:
        for name in ("family", "family:contains", "name:exact", "identifier", "address"):
            with site.work() as done:
                answer = site.a("GET", f"Patient?{name}={quote(text)}")
            assert answer.status in (200, 400)
            assert sum(done.values()) <= 6
        site.a("POST", "Observation", observation(effectiveDateTime=text, code={"text": text}))


def test_case_33_depth_is_bounded(site: Site) -> None:
    """JSON deeper than 64 levels is 400, whatever is deep; so are XML, a filter and a chain."""
    for depth in (65, 1_000, 100_000):
        for opened, closed in (("[", "]"), ('{"a":', "}")):
            body = f'{{"resourceType":"Observation","extension":{opened * depth}1{closed * depth}}}'
            assert site.a("POST", "Observation", body).status == 400
    deep = "<a>" * 5_000
    assert site.a("POST", "Observation", deep, Content_Type="application/fhir+xml").status == 400
    chain = "subject:Patient." + "link:Patient." * 200 + "name"
    assert site.a("GET", f"Observation?{chain}=x").status in (400, 403, 414)
    inside: Any = {"url": "http://a.example", "valueString": "x"}
    for _ in range(20):
        inside = {"url": "http://a.example", "extension": [inside]}
    assert site.a("POST", "Observation", observation(extension=[inside])).status == 201


@pytest.mark.parametrize(
    "text",
    [
        *(
            '"status":"final","status":"amended"',
            '"valueDecimal":NaN',
            '"valueDecimal":Infinity',
            '"valueInteger":-Infinity',
        ),
        *('"valueQuantity":{"value":1e6400}', '"note":[{"text":"\\ud800"}]', '"note":[{"text":"\\udc00\\ud800"}]'),
        *('"resourceType":"Observation"', '"valueQuantity":{"value":01}', '"valueQuantity":{"value":.5}', '"note":[,]'),
        '"note":[{"text":"\x01"}]',
    ],
)
def test_case_34_json_that_is_none_is_refused(site: Site, text: str) -> None:
    """Duplicate keys, NaN, 1e400 and lone surrogates are 400 for JSON that means two things or nothing."""
    body = '{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/a-patient"},%s}'
    assert site.a("POST", "Observation", body % text).status in (400, 422)
    assert site.a("POST", "Observation", (body % '"note":[{"text":"ok"}]').encode("utf-16")).status == 400
    assert site.a("POST", "Observation", b'{"resourceType":"Observation\xff"}').status == 400
    # A number beyond a float is no infinity: it is kept to the digit.
    kept = site.a("POST", "Observation", body % '"valueQuantity":{"value":1e400}')
    assert '"value":1E+400' in site.a("GET", f"Observation/{kept.json['id']}").text
    assert site.a("GET", "Observation?value-quantity=gt1e300").status == 200


def test_case_35_sizes_are_bounded(site: Site) -> None:
    """100,000 entries, 50 MB and 10,000 OR values are refused before they are worked on."""
    entries = ",".join(['{"request":{"method":"GET","url":"Patient"}}'] * 100_000)
    with site.work() as done:
        answer = site.a("POST", "", f'{{"resourceType":"Bundle","type":"batch","entry":[{entries}]}}')
    assert answer.status == 413
    assert done["query Patient"] == 0
    assert site.a("POST", "Observation", b"x" * 50_000_001).status == 413
    values = ",".join(str(number) for number in range(10_000))
    with site.work() as done:
        posted = site.a("POST", "Observation/_search", f"code={values}", Content_Type=FORM)
    assert posted.status == 400
    assert done["query Observation"] == 0
    repeated = "&".join(["code=1"] * 10_000)
    assert site.a("POST", "Observation/_search", repeated, Content_Type=FORM).status in (400, 413)


def test_case_36_a_gzip_bomb_is_refused(site: Site) -> None:
    """A body that grows beyond the limit, one packed twice, and one that is no gzip are refused."""
    packed = gzip.compress(b" " * 60_000_000)
    assert len(packed) < 100_000
    assert site.a("POST", "Observation", packed, Content_Encoding="gzip").status == 413
    twice = gzip.compress(gzip.compress(b"{}"))
    assert site.a("POST", "Observation", twice, Content_Encoding="gzip, gzip").status in (400, 415)
    assert site.a("POST", "Observation", b"no gzip", Content_Encoding="gzip").status == 400
    assert site.a("POST", "Observation", packed[:-20], Content_Encoding="gzip").status in (400, 413)
    assert site.a("POST", "Observation", b"{}", Content_Encoding="br").status == 415


def test_case_37_no_doctype_and_no_entity_is_read(site: Site, tmp_path: Any) -> None:
    """Any DOCTYPE is refused: external entities, entity bombs, external subsets; in FHIR and in a visit's XML."""
    secret = tmp_path / "secret.txt"
    secret.write_text("geheim-1234", encoding="utf-8")
    bomb = "".join(f'<!ENTITY e{each + 1} "{f"&e{each};" * 10}">' for each in range(9))
    for subset in (
        f'[<!ENTITY x SYSTEM "file://{secret}">]',
        f'[<!ENTITY e0 "lol">{bomb}]',
        'SYSTEM "http://127.0.0.1:1/x.dtd"',
        f'[<!ENTITY % p SYSTEM "file://{secret}"> %p;]',
        "",
    ):
        body = (
            f'<?xml version="1.0"?><!DOCTYPE Observation {subset}><Observation xmlns="http://hl7.org/fhir">'
            '<status value="final"/><code><text value="&x;"/></code></Observation>'
        )
        for content in (body.encode(), body.encode("utf-16")):
            answer = site.a("POST", "Observation", content, Content_Type="application/fhir+xml")
            assert answer.status == 400
            assert "geheim" not in answer.text


def test_case_38_files_neither_leave_their_place_nor_bring_formulas(site: Site) -> None:
    """A name or an archive that climbs is stored nowhere else; what staff download opens as text, not as formulas."""
    admin = staff_browser(site, "admin")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../../escaped.txt", "x")
        archive.writestr("xl/workbook.xml", '<!DOCTYPE a [<!ENTITY x "y">]><workbook>&x;</workbook>')
    token = admin.open("/desk/imports").hidden["form_token"]
    data = site.server.data
    row = 'Họ và tên;Ngày sinh;Giới tính;Số thẻ BHYT\n=HYPERLINK("http://evil.example");+1+1;@SUM(1);-2+3\n'
    for name, content in (("../../escaped.xlsx", packed.getvalue()), ("..\\..\\escaped.csv", row.encode())):
        part = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() + content
        head = f'--b\r\nContent-Disposition: form-data; name="form_token"\r\n\r\n{token}\r\n'.encode()
        sent = site.send(
            "POST",
            "/desk/imports",
            head + part + b"\r\n--b--\r\n",
            kind="multipart/form-data; boundary=b",
            Cookie="; ".join(f"{each}={value}" for each, value in admin.cookies.items()),
            X_Forwarded_Proto="https",
        )
        assert sent.status in (303, 400, 403, 422)
    uploads = data / "uploads"
    assert [each for each in data.parent.rglob("*escaped*") if each.parent != uploads] == []
    upload = None
    for _ in range(400):
        upload = site.database["roster_uploads"].find_one(
            {"name": {"$regex": "escaped.csv"}, "state": {"$in": ["done", "failed"]}}
        )
        if upload is not None:
            break
        admin.open("/desk/imports")
    assert upload is not None
    assert upload["state"] == "done", upload
    rejected = admin.open(f"/desk/imports/{upload['_id']}/rejected.csv").text.lstrip("\ufeff")
    assert "'@SUM" in rejected or "'+1" in rejected or "'=HYPER" in rejected
    assert not [line for line in rejected.splitlines() for cell in line.split(",") if cell.strip('"')[:1] in {*"=+@"}]


def test_case_39_multipart_floods_are_refused(site: Site) -> None:
    """Ten thousand parts, a megabyte of header and a part without an end are refused before they are worked on."""
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
    floods = (
        part * 10_000 + b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="a"\r\nX: ' + b"y" * 1_000_000 + b"\r\n\r\nx\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\n' + b"x" * 5_000_000,
        b"--b\r\n" * 100_000,
    )
    for content in floods:
        for path in ("/q", "/auth/token", "/auth/authorize", "/desk/login", "/fhir/Observation/_search"):
            answer = site.send("POST", path, content, kind="multipart/form-data; boundary=b", token=site.token)
            assert 400 <= answer.status < 500, (path, answer.status)


@pytest.mark.parametrize(
    "inside",
    [
        *(
            "<script>alert(1)</script>",
            '<a href=" javascript:alert(1)">x</a>',
            '<a href="java&#x0A;script:alert(1)">x</a>',
        ),
        *(
            '<img src="x" onerror="alert(1)"/>',
            '<iframe src="http://a.example"/>',
            '<a href="&#1;javascript:alert(1)">x</a>',
        ),
        *(
            '<div style="background:url(javascript:alert(1))">x</div>',
            "<svg onload='alert(1)'/>",
            "<form><input/></form>",
        ),
        *('<a href="data:text/html,x">x</a>', "<object data='x'/>", "<style>@import 'x'</style>", "<p>&lt;<b></p></b>"),
    ],
)
def test_case_40_script_in_a_narrative_is_refused(site: Site, inside: str) -> None:
    """Script in `text.div`, also as `" javascript:"`, is refused from the patient and from a clinic, in JSON and patches."""
    text = {"status": "generated", "div": f"<div {XHTML}>{inside}</div>"}
    for token in (site.token, site.clinic):
        answer = site.send("POST", "/fhir/Observation", observation(text=text), token=token)
        assert answer.status in (400, 422)
        assert "alert(1)" not in answer.text
    patch = [{"op": "add", "path": "/text", "value": text}]
    kind = "application/json-patch+json"
    assert site.send("PATCH", "/fhir/Observation/a-weight-1", patch, token=site.clinic, kind=kind).status in (400, 422)


def test_case_41_what_is_sent_is_not_reflected_as_a_page(site: Site) -> None:
    """Errors are JSON that no browser takes for a page; pages repeat nothing that was sent; headers are not split."""
    script = "<script>alert(1)</script>"
    for path in (
        f"/fhir/{quote(script)}",
        f"/fhir/Patient?{quote(script)}={quote(script)}",
        f"/fhir/Patient/{quote(script)}",
    ):
        answer = site.send("GET", path, token=site.token, Accept="text/html")
        assert "html" not in answer.headers["content-type"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    for path in ("/q", "/s", "/desk/login", "/auth/authorize", "/", "/desk/find", "/c/"):
        answer = site.send("GET", f"{path}?lang={quote(script)}&x={quote(script)}&client_id={quote(script)}")
        assert script not in answer.text
    assert script not in site.browser("203.0.113.41").fill("/q", code=script).text
    for text in ("x%0d%0aSet-Cookie:%20a=b", "x%0aX-Evil:%201"):
        answer = site.a("GET", f"Patient?_format={text}&_id={text}")
        assert not {"x-evil", "set-cookie"} & answer.headers.keys()
        assert "evil" not in str(site.send("GET", f"/c/?lang={text}").headers).lower()


def test_case_42_history_and_counts_are_paged(site: Site) -> None:
    """However many entries are asked for, a page has its most; numbers that are none are 400."""
    for path in (
        "Observation?_count=999999999",
        "Observation/_history?_count=999999999",
        "Observation/a-weight-1/_history",
    ):
        with site.work() as done:
            answer = site.send("GET", f"/fhir/{path}", token=site.clinic)
        assert answer.status == 200
        assert len(answer.json["entry"]) <= 1_000
        assert sum(done.values()) <= 12
    for count in ("-1", "1e9", "x", "9" * 400):
        assert site.a("GET", f"Observation?_count={count}").status in (200, 400)
    for include in ("_include=*&_include:iterate=*&_revinclude=*", "&".join(["_include=Observation:subject"] * 500)):
        assert site.a("GET", f"Observation?_count=1000&{include}").status in (200, 400)
