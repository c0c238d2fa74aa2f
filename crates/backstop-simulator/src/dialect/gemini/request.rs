use serde_json::Value;

use crate::{
    ask::{Ask, Format, Message, Role, Tool, ToolChoice, text_of},
    dialect::fields::{field, list, strings, tool},
    problem::Problem,
};

pub(in crate::dialect) fn read(body: &Value, model: &str, stream: bool) -> Result<Ask, Problem> {
    // A count may wrap the request it is for.
    let body = body.get("generateContentRequest").unwrap_or(body);
    let contents = match field(body, "contents") {
        Some(Value::Array(contents)) if !contents.is_empty() => contents,
        _ => {
            return Err(Problem::invalid(
                "* GenerateContentRequest.contents: contents is not specified\n",
                "contents",
            ));
        }
    };
    let system = field(body, "systemInstruction").or_else(|| field(body, "system_instruction"));
    let system = system.map(|content| Message::new(Role::System, text_in(content)));
    let heard: Vec<Message> = system
        .map(Ok)
        .into_iter()
        .chain(contents.iter().map(message_of))
        .collect::<Result<_, _>>()?;
    let nothing = Value::Null;
    let config = field(body, "generationConfig").unwrap_or(&nothing);
    let mut ask = Ask {
        model: model.to_owned(),
        max_tokens: config.get("maxOutputTokens").and_then(Value::as_u64),
        stream,
        stops: strings(config.get("stopSequences")),
        tools: tools(body),
        tool_choice: tool_choice(body),
        format: format(config),
        thinking: config.pointer("/thinkingConfig/includeThoughts") == Some(&Value::Bool(true)),
        choices: 1,
        ..Ask::default()
    };
    ask.hear(heard);
    Ok(ask)
}

fn message_of(content: &Value) -> Result<Message, Problem> {
    let role = match content.get("role").and_then(Value::as_str) {
        Some("model") => Role::Assistant,
        Some("user" | "function" | "") | None => Role::User,
        Some(_) => {
            return Err(Problem::invalid(
                "Please use a valid role: user, model.",
                "contents",
            ));
        }
    };
    Ok(Message::new(role, text_in(content)))
}

fn text_in(content: &Value) -> String {
    let parts = list(content, "parts");
    let texts = parts
        .iter()
        .map(|part| match part.pointer("/functionResponse/response") {
            Some(response) => response.to_string(),
            None => text_of(part),
        });
    texts.collect()
}

fn tools(body: &Value) -> Vec<Tool> {
    let declarations = list(body, "tools").iter().filter_map(|tool| {
        let list = tool
            .get("functionDeclarations")
            .or_else(|| tool.get("function_declarations"));
        list?.as_array()
    });
    let declarations = declarations.flatten();
    declarations
        .filter_map(|it| tool(it, &["parametersJsonSchema", "parameters"]))
        .collect()
}

fn tool_choice(body: &Value) -> ToolChoice {
    let Some(config) = body.pointer("/toolConfig/functionCallingConfig") else {
        return ToolChoice::Auto;
    };
    match config.get("mode").and_then(Value::as_str) {
        Some("ANY") => match strings(config.get("allowedFunctionNames"))
            .into_iter()
            .next()
        {
            Some(name) => ToolChoice::Named(name),
            None => ToolChoice::Required,
        },
        Some("NONE") => ToolChoice::None,
        _ => ToolChoice::Auto,
    }
}

fn format(config: &Value) -> Format {
    let schema = field(config, "responseJsonSchema").or_else(|| field(config, "responseSchema"));
    match (
        schema,
        config.get("responseMimeType").and_then(Value::as_str),
    ) {
        (Some(schema), _) => Format::Schema(schema.clone()),
        (None, Some("application/json")) => Format::Json,
        _ => Format::Text,
    }
}
