use super::{Regex, RegexError};

fn never() -> bool {
    false
}

/// The groups of a full match, `-` for a group that took no part; `no` if there is no match.
fn groups(pattern: &str, subject: &str) -> String {
    let regex = Regex::new(pattern.as_bytes()).expect("a valid pattern");
    let Some(found) = regex
        .full_match(subject.as_bytes(), &never)
        .expect("an answer")
    else {
        return "no".into();
    };
    let texts: Vec<&str> = found
        .groups
        .into_iter()
        .map(|group| group.map_or("-", |range| &subject[range]))
        .collect();
    format!("[{}]", texts.join(","))
}

/// The matches of a subject, each in brackets, with what lies between.
fn split(pattern: &str, subject: &str) -> String {
    let regex = Regex::new(pattern.as_bytes()).expect("a valid pattern");
    let mut out = String::new();
    let mut end = 0;
    for found in regex.matches(subject.as_bytes(), &never) {
        let found = found.expect("an answer");
        out += &format!(
            "{}[{}]",
            &subject[end..found.range.start],
            &subject[found.range.clone()]
        );
        end = found.range.end;
    }
    out + &subject[end..]
}

#[test]
fn a_full_match_gives_its_groups() {
    let cases = [
        ("abc", "abc", "[]"),
        ("abc", "abcd", "no"),
        ("a(b)(c)", "abc", "[b,c]"),
        ("(a)|(b)", "b", "[-,b]"),
        ("([0-9]+)\\.([0-9]+)(\\..*)?", "12.3", "[12,3,-]"),
        (
            "[[:space:]]+([[:upper:]]+)[[:space:]]+",
            "  FOO   ",
            "[FOO]",
        ),
        ("(.*)\n(.*)", "a\nb", "[a,b]"),
        ("", "", "[]"),
        ("a{2,3}", "aaa", "[]"),
        ("a{2,3}", "aaaa", "no"),
        ("(ab|a)(bc|c)?", "abc", "[ab,c]"),
    ];
    for (pattern, subject, expected) in cases {
        assert_eq!(groups(pattern, subject), expected, "{pattern} on {subject}");
    }
}

#[test]
fn a_group_keeps_what_an_earlier_round_matched() {
    assert_eq!(groups("((a)|b)*", "ab"), "[b,a]");
}

#[test]
fn an_empty_last_round_is_what_a_group_holds() {
    assert_eq!(groups("(a*)*", "aa"), "[]");
    assert_eq!(groups("(a*)+", "aa"), "[]");
}

#[test]
fn splitting_walks_all_matches() {
    assert_eq!(split("a", "banana"), "b[a]n[a]n[a]");
    assert_eq!(split("(a)b", "abc"), "[ab]c");
    assert_eq!(split("", "ab"), "[]a[]b[]");
    assert_eq!(split("a*", "baac"), "[]b[aa][]c[]");
    assert_eq!(split("a|ab", "ab"), "[ab]");
    assert_eq!(split("^a", "aa"), "[a]a");
}

#[test]
fn wrong_patterns_are_refused() {
    for pattern in [
        "(",
        ")",
        "*",
        "a{",
        "a{2",
        "a{,2}",
        "a{3,2}",
        "[",
        "[a",
        "[z-a]",
        "[[:foo:]]",
        "\\",
        "\\d",
        "a|*",
    ] {
        assert_eq!(
            Regex::new(pattern.as_bytes()).err(),
            Some(RegexError::Invalid),
            "{pattern}"
        );
    }
}

#[test]
fn an_automaton_that_grows_too_large_is_an_error() {
    assert_eq!(
        Regex::new(b"((a{100}){100}){100}").err(),
        Some(RegexError::TooLarge)
    );
}

#[test]
fn patterns_that_explode_elsewhere_answer_at_once() {
    let many = "a".repeat(40_000);
    assert_eq!(groups("(a*)*b", &many), "no");
    assert_eq!(groups("(a|aa)+b", &many), "no");
    assert_eq!(groups("(((a*)*)*)*b", &many), "no");
    assert_eq!(groups("(x+x+)+y", &"x".repeat(2_000)), "no");
}

#[test]
fn a_subject_of_a_megabyte_is_no_danger() {
    let long = "ab".repeat(500_000);
    assert_eq!(groups("((a)|(b))*", &long), "[b,a,b]");
    assert_eq!(groups("(.*)b", &long).len(), long.len() + 1);
    let regex = Regex::new(b"a(.*c)?").expect("a valid pattern");
    assert_eq!(regex.matches(long.as_bytes(), &never).count(), 500_000);
}

#[test]
fn a_long_search_can_be_interrupted() {
    let regex = Regex::new(b"(a|b|ab)*c").expect("a valid pattern");
    let subject = "ab".repeat(1_000_000);
    assert_eq!(
        regex.full_match(subject.as_bytes(), &|| true),
        Err(RegexError::Interrupted)
    );
}

#[test]
fn bytes_need_not_be_text() {
    let regex = Regex::new(b"([\x80-\xff]+)a").expect("a valid pattern");
    let found = regex
        .full_match(b"\xc3\xbca", &never)
        .expect("an answer")
        .expect("a match");
    assert_eq!(found.groups, [Some(0..2)]);
}
