//! Numbers in the words of a case: a sentence is known whatever the numbers in it are.

/// A text with a `#` for each of its whole numbers, and the numbers.
pub(crate) fn numbers(text: &str) -> (String, Vec<u64>) {
    let mut words = String::new();
    let mut numbers = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (head, tail) = rest.split_at(digits.max(first.len_utf8()));
        match head.parse() {
            Ok(number) => {
                words.push('#');
                numbers.push(number);
            }
            Err(_) => words.push_str(head),
        }
        rest = tail;
    }
    (words, numbers)
}
