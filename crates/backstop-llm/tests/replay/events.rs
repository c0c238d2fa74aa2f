//! Streams of events, cut up as simply as can be: the whole of them is there.

/// An event's name and data.
pub(crate) type Event = (String, String);

/// Every event with data. One that was not ended by a blank line is taken for whole, as some
/// servers forget the line after their last.
pub(crate) fn events(body: &str) -> Vec<Event> {
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    let lines = body.replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    let (mut name, mut data) = (String::new(), None::<String>);
    for line in lines.split('\n').chain([""]) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                data = Some(match data.take() {
                    Some(before) => format!("{before}\n{value}"),
                    None => value.to_owned(),
                });
            }
            "event" => value.clone_into(&mut name),
            "" if line.is_empty() => {
                let named = std::mem::take(&mut name);
                events.extend(data.take().map(|data| (named, data)));
            }
            _ => {}
        }
    }
    events
}
