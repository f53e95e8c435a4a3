//! Passwords in what libraries say: an LPM may repeat the URL of a server in an error, with the
//! password in it. They never get into the output, logs, or files of events.

use std::borrow::Cow;

/// What stands in for a password.
const HIDDEN: &str = "***";

/// The text, without the passwords of URLs (`scheme://user:password@host`).
#[must_use]
pub fn hide(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        rest = after;
        let end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>');
        let url = &rest[..rest.find(end).unwrap_or(rest.len())];
        // A password may have any of the characters that end it in a URL that is written right.
        let secret = url
            .rfind('@')
            .and_then(|at| Some(url[..at].find(':')? + 1..at));
        if let Some(secret) = secret {
            shown.push_str(&rest[..secret.start]);
            shown.push_str(HIDDEN);
            rest = &rest[secret.end..];
        }
    }
    if shown.is_empty() {
        return Cow::Borrowed(text);
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::hide;

    #[test]
    fn passwords_of_urls_are_hidden() {
        for (text, expected) in [
            ("nothing", "nothing"),
            ("ldap://host:389/dc=x", "ldap://host:389/dc=x"),
            (
                "cannot reach \"redis://:s3cret@host:6379/0\": refused",
                "cannot reach \"redis://:***@host:6379/0\": refused",
            ),
            (
                "a redis://u:p@ss/w:rd@h and ldap://x:y@z!",
                "a redis://u:***@h and ldap://x:***@z!",
            ),
            ("ldap://user@host", "ldap://user@host"),
            ("http://[2001:db8::1]:80/", "http://[2001:db8::1]:80/"),
            ("://:@", "://:***@"),
        ] {
            assert_eq!(hide(text), expected);
        }
    }
}
