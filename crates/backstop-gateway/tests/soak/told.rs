//! What `/metrics` tells.

use reqwest::Client;

/// Every sample: its name, its labels, its value.
pub(crate) struct Told(Vec<(String, String, f64)>);

impl Told {
    pub(crate) async fn by(client: &Client, url: &str) -> Self {
        let response = client.get(url).send().await.expect("an answer comes");
        let text = response.text().await.expect("it comes to its end");
        Self(text.lines().filter_map(sample).collect())
    }

    /// The sum of all samples of this name which have this among their labels.
    pub(crate) fn sum(&self, name: &str, label: &str) -> f64 {
        let all = self.0.iter();
        all.filter(|(known, labels, _)| known == name && labels.contains(label))
            .map(|(.., value)| value)
            .sum()
    }

    /// The labels of the samples of this name that are not zero.
    pub(crate) fn not_zero(&self, name: &str) -> Vec<&str> {
        let all = self.0.iter();
        all.filter(|(known, _, value)| known == name && *value != 0.0)
            .map(|(_, labels, _)| &**labels)
            .collect()
    }
}

fn sample(line: &str) -> Option<(String, String, f64)> {
    if line.starts_with('#') {
        return None;
    }
    let (of, value) = line.rsplit_once(' ')?;
    let (name, labels) = of.split_once('{').unwrap_or((of, ""));
    Some((name.to_owned(), labels.to_owned(), value.parse().ok()?))
}
