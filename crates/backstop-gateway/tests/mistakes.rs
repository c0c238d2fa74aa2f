//! What is easily got wrong in a config that is written by hand, and what is said of it.

use backstop_gateway::config::Config;

const RIGHT: &str = r#"
[providers.a]
dialect = "openai"
base_url = "http://127.0.0.1:4011/v1"
api_key = "sk-secret-0123456789"
[models.smart]
candidates = ["a:m"]
"#;

fn parse(text: &str) -> Result<Config, String> {
    let config = Config::parse("it.toml", text, &|_| None);
    config.map_err(|refusal| refusal.to_string())
}

/// What is said where this stands in place of that.
fn told(that: &str, this: &str) -> String {
    let wrong = RIGHT.replace(that, this);
    assert_ne!(wrong, RIGHT, "{that}");
    let told = parse(&wrong).expect_err(&wrong);
    assert!(!told.contains("sk-secret"), "{told}");
    told
}

/// What is said where this stands at the end.
fn told_after(this: &str) -> String {
    parse(&format!("{RIGHT}{this}")).expect_err(this)
}

#[test]
fn an_editor_may_write_it_as_it_likes() {
    for text in [
        format!("\u{feff}{RIGHT}"),
        RIGHT.replace('\n', "\r\n"),
        RIGHT.replace(" = ", "\t=\t"),
    ] {
        assert!(parse(&text).is_ok(), "{text:?}");
    }
}

#[test]
fn what_is_no_config_at_all_says_what_is_missing() {
    for nothing in ["", "# soon\n", "\r\n"] {
        let told = parse(nothing).expect_err("is none");
        assert!(told.contains("the file lacks `models`"), "{told}");
        assert!(told.contains("add a table [models.NAME]"), "{told}");
    }
    for other in ["{\"models\": {}}", "models:\n  smart: a:m\n"] {
        let told = parse(other).expect_err("is none");
        assert!(told.contains("not TOML"), "{told}");
    }
}

#[test]
fn a_name_with_a_dot_is_to_be_quoted() {
    let said = told("models.smart", "models.gpt-5.5");
    let hint = "a name with a dot stands in quotes: [models.\"gpt-5.5\"]";
    assert!(said.contains(hint), "{said}");
    assert!(parse(&RIGHT.replace("models.smart", "models.\"gpt-5.5\"")).is_ok());
}

#[test]
fn a_name_is_something_that_can_be_told() {
    let hash = "ab".repeat(32);
    for (that, this, word) in [
        ("models.smart", "models.\"\"", "`models.` has no name"),
        (
            "models.smart",
            "models.\"a\\tb\"",
            "has a control character in its name",
        ),
        ("providers.a", "providers.\"\"", "`providers.` has no name"),
        (
            "\"a:m\"",
            "{ candidate = \"a:m\", name = \"\" }",
            "[0].name` has no name",
        ),
    ] {
        let said = told(that, this);
        assert!(said.contains(word), "{said}");
    }
    let said = told_after(&format!("[keys.\"\"]\nsha256 = \"{hash}\"\n"));
    assert!(
        said.starts_with("it.toml:8:1: `keys.` has no name"),
        "{said}"
    );
}

#[test]
fn a_key_that_is_empty_is_none() {
    for empty in ["\"\"", "[]", "[\"\"]"] {
        let said = told("\"sk-secret-0123456789\"", empty);
        assert!(said.contains("is empty\n    leave it out"), "{said}");
    }
    let said = told("sk-secret-0123456789", "$OPENAI_API_KEY");
    assert!(said.ends_with("write \"${OPENAI_API_KEY}\""), "{said}");
    for nameless in ["${}", "${file:}", "${OPENAI_API_KEY:-none}"] {
        let said = told("sk-secret-0123456789", nameless);
        assert!(said.contains("should be a name between"), "{said}");
    }
}

#[test]
fn a_header_that_says_how_a_request_is_sent_is_not_to_be_configured() {
    for name in [
        "Content-Length",
        "transfer-encoding",
        "connection",
        "bad header",
    ] {
        let said = told_after(&format!("[providers.a.headers]\n\"{name}\" = \"5\"\n"));
        let place = format!(
            "it.toml:9:{}: `providers.a.headers.{name}` ",
            name.len() + 6
        );
        assert!(said.starts_with(&place), "{said}");
    }
    let host = format!("{RIGHT}[providers.a.headers]\nHost = \"other.test\"\n");
    assert!(parse(&host).is_ok());
}

#[test]
fn a_model_that_is_wrong_is_not_said_to_be_missing() {
    let said = told("[\"a:m\"]", "\"a:m\"");
    assert_eq!(
        said,
        "it.toml:7:14: `models.smart.candidates` should be an array\n    \
         write it in brackets: [\"…\", \"…\"]"
    );
}

#[test]
fn what_could_never_answer_is_refused() {
    for (candidates, word) in [
        (
            "[{ candidate = \"a:m\", only_after = [\"too_large\"] }]",
            "`models.smart.candidates` has nobody to be asked first",
        ),
        ("[\"a:m\", { reply = \" \" }]", ".reply` is empty"),
        (
            "[{ candidate = \"a:m\", can = [\"tools\", \"images\"], lacks = [\"images\"] }]",
            "[0].lacks` has \"images\", as `can` does",
        ),
        (
            "[{ candidate = \"a:m\", degraded = \"one\\ntwo\" }]",
            "[0].degraded` can't be sent in a header\n    write it in one line",
        ),
    ] {
        let said = told("[\"a:m\"]", candidates);
        assert!(said.contains(word), "{said}");
    }
    let said = told_after("[limits]\nbody = \"0B\"\n");
    assert!(
        said.contains("`limits.body` should be more than nothing"),
        "{said}"
    );
}

#[test]
fn what_can_not_be_reached_is_refused() {
    for hook in ["httpfoo", "ftp://here/x", "http:", ""] {
        let said = told_after(&format!("[alerts]\nwebhook = \"{hook}\"\nspend = 1.0\n"));
        assert!(said.contains("should be an address to post to"), "{said}");
    }
    let said = told_after("[admin]\nlisten = \"127.0.0.1:4000\"\n");
    assert!(
        said.contains("`admin.listen` is where callers are served"),
        "{said}"
    );
    for base in [
        "api.openai.com/v1",
        "ftp://here",
        "https://me:pw@here",
        "https://here?a=b",
    ] {
        let said = told("http://127.0.0.1:4011/v1", base);
        assert!(said.contains("should be an address of HTTP"), "{said}");
        assert!(!said.contains("me:pw"), "{said}");
    }
}

#[test]
fn an_address_that_is_none_is_shown_one_of_its_own_kind() {
    let said = told_after("[telemetry]\notlp = \"127.0.0.1:4318\"\n");
    assert!(
        said.contains("write it as \"http://127.0.0.1:4318\""),
        "{said}"
    );
    let said = told("http://127.0.0.1:4011/v1", "127.0.0.1:4011");
    assert!(
        said.contains("write it as \"https://api.openai.com/v1\""),
        "{said}"
    );
}
