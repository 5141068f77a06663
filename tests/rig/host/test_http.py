"""HTTP functions over the local host: keys, bodies, headers, errors, the admin calls."""

import time

import pytest

from tests.rig.conftest import FUNCTION_KEY, MASTER_KEY, RunningHost, StartHost

SOURCE = """
@app.route(route="echo/{id:int?}", auth_level=func.AuthLevel.ANONYMOUS, methods=["GET", "POST"])
async def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    said = {
        "method": req.method, "url": req.url, "id": req.route_params.get("id"),
        "query": dict(req.params), "header": req.headers.get("X-Given"),
        "platform": [name for name in req.headers if name.lower().startswith("x-ms-")],
        "body": req.get_body().decode(), "function": context.function_name,
    }
    return func.HttpResponse(json.dumps(said), mimetype="application/json")

@app.route(route="keyed", auth_level=func.AuthLevel.FUNCTION)
def keyed(req: func.HttpRequest) -> str:
    return "as text"

@app.route(route="mastered", auth_level=func.AuthLevel.ADMIN)
def mastered(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=204)

@app.route(route="nothing", auth_level=func.AuthLevel.ANONYMOUS)
def nothing(req: func.HttpRequest) -> func.HttpResponse:
    return None

@app.route(route="fails", auth_level=func.AuthLevel.ANONYMOUS)
def fails(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("a secret reason")

@app.route(route="cookies", auth_level=func.AuthLevel.ANONYMOUS)
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse(b"\\xff\\x00", status_code=201, mimetype="application/x-bytes")
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
    response.headers.add("Set-Cookie", "b=2; SameSite=Lax")
    response.headers["X-Own"] = "yes"
    return response

@app.route(route="slow", auth_level=func.AuthLevel.ANONYMOUS)
async def slow(req: func.HttpRequest) -> str:
    await asyncio.sleep(30)

@app.route(route="settings", auth_level=func.AuthLevel.ANONYMOUS)
def settings(req: func.HttpRequest) -> str:
    return json.dumps({name: os.environ.get(name) for name in ("FROM_FILE", "FROM_BOTH")} |
                      {"keys": [n for n in os.environ if n.startswith("LOCAL_HOST_")]})

@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer")
async def yearly(timer: func.TimerRequest) -> None:
    note(yearly=timer.past_due)
"""


@pytest.fixture(scope="module")
def host(start_host: StartHost) -> RunningHost:
    return start_host(SOURCE, {"functionTimeout": "00:00:01"})


def test_a_function_gets_all_of_the_request(host: RunningHost) -> None:
    answer = host.request(
        "POST", "/api/echo/7?a=1&b=&a=2", content="körper".encode(), headers={"X-Given": "x"}
    )

    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {
        "method": "POST",
        "url": f"{host.url}/api/echo/7?a=1&b=&a=2",
        "id": "7",
        "query": {"a": "1,2", "b": ""},
        "header": "x",
        "platform": [],
        "body": "körper",
        "function": "echo",
    }


@pytest.mark.parametrize("name", ["X-MS-CLIENT-PRINCIPAL", "x-ms-token-aad-access-token"])
def test_nobody_says_from_outside_who_has_signed_in(host: RunningHost, name: str) -> None:
    answer = host.request("GET", "/api/echo", headers={name: "forged", "X-Given": "x"})

    assert (answer.json()["platform"], answer.json()["header"]) == ([], "x")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/api/echo", 200, id="optional value left out"),
        pytest.param("GET", "/api/echo/x", 404, id="constraint not met"),
        pytest.param("PUT", "/api/echo", 404, id="method not listed"),
        pytest.param("HEAD", "/api/echo", 404, id="HEAD not listed"),
        pytest.param("GET", "/api/unknown", 404, id="no such route"),
        pytest.param("GET", "/echo", 404, id="without the prefix"),
        pytest.param("GET", "/", 200, id="home page"),
        pytest.param("GET", "/api/nothing", 204, id="None is 204"),
        pytest.param("GET", "/api/fails", 500, id="exception"),
        pytest.param("GET", "/api/slow", 500, id="over functionTimeout"),
        pytest.param("GET", "/admin/host/ping", 200, id="ping"),
        pytest.param("GET", "/admin/host/status", 401, id="status is for the master key"),
    ],
)
def test_status(host: RunningHost, method: str, path: str, status: int) -> None:
    assert host.request(method, path).status_code == status


def test_an_exception_is_not_told_to_the_caller(host: RunningHost) -> None:
    assert host.request("GET", "/api/fails").text == ""


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        pytest.param("/api/keyed", "", 401, id="function: no key"),
        pytest.param("/api/keyed", "wrong", 401, id="function: wrong key"),
        pytest.param("/api/keyed", FUNCTION_KEY, 200, id="function: its key"),
        pytest.param("/api/keyed", MASTER_KEY, 200, id="function: master key"),
        pytest.param("/api/mastered", FUNCTION_KEY, 401, id="admin: function key"),
        pytest.param("/api/mastered", MASTER_KEY, 204, id="admin: master key"),
    ],
)
def test_keys(host: RunningHost, path: str, key: str, status: int) -> None:
    by_header = host.request("GET", path, headers={"x-functions-key": key})
    by_query = host.request("GET", path, params={"code": key})

    assert (by_header.status_code, by_query.status_code) == (status, status)


def test_text_is_an_answer(host: RunningHost) -> None:
    answer = host.request("GET", "/api/keyed", params={"code": FUNCTION_KEY})

    assert (answer.status_code, answer.text) == (200, "as text")


def test_bytes_headers_and_several_cookies_arrive(host: RunningHost) -> None:
    answer = host.request("GET", "/api/cookies")

    assert answer.status_code == 201
    assert answer.content == b"\xff\x00"
    assert answer.headers["Content-Type"] == "application/x-bytes"
    assert answer.headers["X-Own"] == "yes"
    assert answer.headers.get_list("Set-Cookie") == ["a=1; HttpOnly; Path=/", "b=2; SameSite=Lax"]


def test_a_timer_fires_by_hand(host: RunningHost) -> None:
    answer = host.by_hand("yearly")
    deadline = time.monotonic() + 60
    while not host.noted() and time.monotonic() < deadline:
        time.sleep(0.05)

    assert answer.status_code == 202
    assert host.noted() == [{"yearly": False}]


@pytest.mark.parametrize(
    ("function", "key", "status"),
    [
        pytest.param("yearly", "wrong", 401, id="wrong key"),
        pytest.param("yearly", FUNCTION_KEY, 401, id="function key"),
        pytest.param("unknown", MASTER_KEY, 404, id="no such function"),
    ],
)
def test_by_hand_is_refused(host: RunningHost, function: str, key: str, status: int) -> None:
    assert host.by_hand(function, key=key).status_code == status


def test_settings_come_from_the_file_unless_the_environment_has_them(
    start_host: StartHost, host: RunningHost
) -> None:
    folder = host.notes.parent
    values = '{"Values": {"FROM_FILE": "file", "FROM_BOTH": "file"}}'
    (folder / "local.settings.json").write_text(values)
    second = start_host("", folder=folder, FROM_BOTH="environment")

    assert second.request("GET", "/api/settings").json() == {
        "FROM_FILE": "file",
        "FROM_BOTH": "environment",
        "keys": [],
    }
