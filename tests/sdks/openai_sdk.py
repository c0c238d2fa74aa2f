"""The official OpenAI client for Python, unchanged, against the gateway.

Run with the gateway's base URL as the only argument. It prints one line for each thing that it
tried and exits with an error at the first that did not hold.
"""

import asyncio
import json
import sys

import openai
from pydantic import BaseModel

BASE = sys.argv[1]
client = openai.OpenAI(base_url=f"{BASE}/v1", api_key="unused", max_retries=0, timeout=30)
ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def done(what: str) -> None:
    print(f"ok: {what}", flush=True)


def chat(model: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=ASK)
    answer = raw.parse()
    assert answer.choices[0].message.content, answer
    assert answer.choices[0].finish_reason == "stop", answer
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert raw.headers["x-served-by"].endswith(answer.model), (raw.headers, answer.model)
    done(f"chat with {model}")


def stream(model: str) -> None:
    text, finish, usage = "", None, None
    for chunk in client.chat.completions.create(
        model=model, messages=ASK, stream=True, stream_options={"include_usage": True}
    ):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    assert text and finish == "stop" and usage.completion_tokens > 0, (text, finish, usage)
    done(f"stream with {model}")


async def stream_async(model: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{BASE}/v1", api_key="unused") as aclient:
        text = ""
        async for chunk in await aclient.chat.completions.create(
            model=model, messages=ASK, stream=True
        ):
            for choice in chunk.choices:
                text += choice.delta.content or ""
    assert text
    done(f"asynchronous stream with {model}")


def tools(model: str) -> None:
    force = {"type": "function", "function": {"name": "get_weather"}}
    answer = client.chat.completions.create(
        model=model, messages=ASK, tools=[WEATHER], tool_choice=force
    )
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments), call
    history = [
        *ASK,
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    again = client.chat.completions.create(model=model, messages=history, tools=[WEATHER])
    assert again.choices[0].message.content
    done(f"tool call and result with {model}")

    name, arguments = "", ""
    for chunk in client.chat.completions.create(
        model=model, messages=ASK, tools=[WEATHER], tool_choice=force, stream=True
    ):
        for choice in chunk.choices:
            for part in choice.delta.tool_calls or []:
                name += part.function.name or ""
                arguments += part.function.arguments or ""
    assert name == "get_weather" and "city" in json.loads(arguments), (name, arguments)
    done(f"streamed tool call with {model}")


class Answer(BaseModel):
    city: str
    population: int


def structured(model: str) -> None:
    answer = client.chat.completions.parse(model=model, messages=ASK, response_format=Answer)
    assert isinstance(answer.choices[0].message.parsed, Answer)
    done(f"structured output with {model}")


def responses(model: str) -> None:
    answer = client.responses.create(model=model, input="Say hello.", instructions="Be brief.")
    assert answer.status == "completed" and answer.output_text, answer
    text, completed = "", None
    for event in client.responses.create(model=model, input="Say hello.", stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == "response.completed":
            completed = event.response
    assert completed is not None and completed.output_text == text, (text, completed)
    with client.responses.stream(model=model, input="Say hello.") as events:
        said = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        final = events.get_final_response()
    assert final.status == "completed" and final.output_text == said, final
    tool = {"type": "function", "name": "get_weather", "strict": False}
    tool["parameters"] = {"type": "object", "properties": {"city": {"type": "string"}}}
    force = {"type": "function", "name": "get_weather"}
    ask = {"model": model, "input": "Weather?", "tools": [tool], "tool_choice": force}
    with client.responses.stream(**ask) as events:
        list(events)
        final = events.get_final_response()
    call = next(item for item in final.output if item.type == "function_call")
    assert call.name == "get_weather" and json.loads(call.arguments) is not None, final
    history = [{"role": "user", "content": "Weather?"}, *final.output]
    history.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    again = client.responses.create(model=model, input=history, tools=[tool])
    assert again.output_text, again
    done(f"responses with {model}")


def refused(model: str, kind: type, status: int, calls: int = 2, **headers: str) -> None:
    """The first call is plain, the second streamed. One that holds a candidate off is made once."""
    for streamed in (False, True)[:calls]:
        try:
            client.chat.completions.create(model=model, messages=ASK, stream=streamed)
        except openai.APIStatusError as error:
            assert isinstance(error, kind), (model, error)
            assert error.status_code == status, (model, error.status_code)
            for name, value in headers.items():
                name = name.replace("_", "-")
                assert error.response.headers.get(name) == value, (model, name, error.response.headers)
            assert error.body and error.body["message"], error.body
        else:
            raise AssertionError(f"{model} should have failed")
    done(f"{model} is {kind.__name__} with {status}")


def broken(model: str) -> None:
    """A stream that breaks off is an error, and never an answer that looks whole."""
    said = ""
    try:
        for chunk in client.chat.completions.create(model=model, messages=ASK, stream=True):
            said += chunk.choices[0].delta.content or ""
            assert chunk.choices[0].finish_reason is None, chunk
    except openai.APIError as error:
        assert said and error.message and error.body, (said, error)
    else:
        raise AssertionError(f"{model} should have broken off")
    events = list(client.responses.create(model=model, input="Say hello.", stream=True))
    assert events[-1].type == "response.failed", events[-1]
    assert events[-1].response.error.message, events[-1]
    done(f"{model} is an error in the stream")


def retries() -> None:
    """The client's own retries are told the truth: how often each failing model is asked."""
    for model, calls in (("unwilling", 1), ("invalid", 1), ("overloaded", 2)):
        asked = []
        http = openai.DefaultHttpxClient(event_hooks={"request": [asked.append]})
        patient = client.with_options(max_retries=1, http_client=http)
        try:
            patient.chat.completions.create(model=model, messages=ASK)
        except openai.APIStatusError:
            assert len(asked) == calls, (model, len(asked))
        else:
            raise AssertionError(f"{model} should have failed")
    done("retries where they may help and nowhere else")


def models() -> None:
    assert "smart" in [model.id for model in client.models.list()]
    done("models")


def main() -> None:
    models()
    for model in sys.argv[2].split(","):
        chat(model)
        stream(model)
        asyncio.run(stream_async(model))
        if "tools" in sys.argv[3:]:
            tools(model)
            structured(model)
        if "responses" in sys.argv[3:]:
            responses(model)
    retries()
    broken("cut")
    refused("no-such-model", openai.NotFoundError, 404)
    refused("overloaded", openai.InternalServerError, 503)
    refused("limited", openai.RateLimitError, 429, calls=1, retry_after="7")
    refused("denied", openai.InternalServerError, 503, calls=1, x_should_retry="false")
    refused("invalid", openai.BadRequestError, 400)


main()
