"""The official Anthropic client for Python, unchanged, against the gateway.

Run with the gateway's base URL and the models to ask. It prints one line for each thing that it
tried and exits with an error at the first that did not hold.
"""

import sys

import anthropic

BASE = sys.argv[1]
client = anthropic.Anthropic(base_url=BASE, api_key="unused", max_retries=0, timeout=30)
ASK = {
    "max_tokens": 200,
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "Say hello."}],
}
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


def done(what: str) -> None:
    print(f"ok: {what}", flush=True)


def message(model: str) -> None:
    answer = client.messages.create(model=model, **ASK)
    assert answer.content[0].text and answer.stop_reason == "end_turn", answer
    assert answer.usage.output_tokens > 0
    done(f"message with {model}")


def stream(model: str) -> None:
    with client.messages.stream(model=model, **ASK) as events:
        text = "".join(events.text_stream)
        final = events.get_final_message()
    assert text == final.content[0].text and final.stop_reason == "end_turn", final
    assert final.usage.output_tokens > 0
    done(f"stream with {model}")


def tools(model: str) -> None:
    force = {"type": "tool", "name": "get_weather"}
    answer = client.messages.create(model=model, tools=[WEATHER], tool_choice=force, **ASK)
    call = next(block for block in answer.content if block.type == "tool_use")
    assert answer.stop_reason == "tool_use" and "city" in call.input, answer
    history = [
        *ASK["messages"],
        {"role": "assistant", "content": answer.content},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}],
        },
    ]
    again = client.messages.create(
        model=model, max_tokens=200, messages=history, tools=[WEATHER]
    )
    assert again.content[0].text
    with client.messages.stream(
        model=model, tools=[WEATHER], tool_choice=force, **ASK
    ) as events:
        final = events.get_final_message()
    call = next(block for block in final.content if block.type == "tool_use")
    assert "city" in call.input, final
    done(f"tool call, result and streamed tool call with {model}")


def refused(model: str, kind: type, status: int, calls: int = 2) -> None:
    """The first call is plain, the second streamed. One that holds a candidate off is made once."""
    for streamed in (False, True)[:calls]:
        try:
            answer = client.messages.create(model=model, stream=streamed, **ASK)
            if streamed:
                list(answer)
        except anthropic.APIStatusError as error:
            assert isinstance(error, kind), (model, error)
            assert error.status_code == status, (model, error.status_code)
            assert error.body["type"] == "error" and error.body["error"]["message"], error.body
        else:
            raise AssertionError(f"{model} should have failed")
    done(f"{model} is {kind.__name__} with {status}")


def broken(model: str) -> None:
    """A stream that breaks off is an error, and never an answer that looks whole."""
    said = ""
    try:
        with client.messages.stream(model=model, **ASK) as events:
            for text in events.text_stream:
                said += text
    except anthropic.APIError as error:
        assert said and error.body["error"]["message"], (said, error)
    else:
        raise AssertionError(f"{model} should have broken off")
    done(f"{model} is an error in the stream")


def retries() -> None:
    """The client's own retries are told the truth: how often each failing model is asked."""
    for model, calls in (("unwilling", 1), ("invalid", 1), ("overloaded", 2)):
        asked = []
        http = anthropic.DefaultHttpxClient(event_hooks={"request": [asked.append]})
        patient = client.with_options(max_retries=1, http_client=http)
        try:
            patient.messages.create(model=model, **ASK)
        except anthropic.APIStatusError:
            assert len(asked) == calls, (model, len(asked))
        else:
            raise AssertionError(f"{model} should have failed")
    done("retries where they may help and nowhere else")


def main() -> None:
    assert "smart" in [model.id for model in client.models.list()]
    done("models")
    for model in sys.argv[2].split(","):
        message(model)
        stream(model)
        tools(model)
    retries()
    broken("cut")
    refused("no-such-model", anthropic.NotFoundError, 404)
    refused("overloaded", anthropic.InternalServerError, 503)
    refused("limited", anthropic.RateLimitError, 429, calls=1)
    refused("denied", anthropic.InternalServerError, 503, calls=1)
    refused("invalid", anthropic.BadRequestError, 400)


main()
