//! Markdown on the terminal: headings and emphasis in bold, code in colour, everything else as it is.

/// The text for standard output: styled for a terminal, untouched for a pipe.
pub fn render_markdown(text: &str) -> String {
    if super::stdout_colours() {
        style(text)
    } else {
        text.to_owned()
    }
}

fn style(text: &str) -> String {
    let mut styled = String::with_capacity(text.len() + 64);
    let mut in_code = false;
    for line in text.split_inclusive('\n') {
        let (body, end) = line
            .strip_suffix('\n')
            .map_or((line, ""), |body| (body, "\n"));
        if body.trim_start().starts_with("```") {
            // The fences themselves are for other renderers.
            in_code = !in_code;
            continue;
        }
        if in_code {
            styled += &format!("    \x1b[36m{body}\x1b[0m{end}");
        } else if body.starts_with('#') {
            styled += &format!("\x1b[1m{}\x1b[0m{end}", body.trim_start_matches('#').trim());
        } else {
            inline(body, &mut styled);
            styled += end;
        }
    }
    styled
}

/// Replaces the pairs of `` ` `` and `**` of a line.
fn inline(line: &str, styled: &mut String) {
    let mut rest = line;
    while let Some(at) = rest.find(['`', '*']) {
        styled.push_str(&rest[..at]);
        let (mark, colour) = match &rest[at..] {
            tail if tail.starts_with('`') => ("`", "36"),
            tail if tail.starts_with("**") => ("**", "1"),
            _ => ("*", "3"),
        };
        let tail = &rest[at + mark.len()..];
        match tail.find(mark) {
            Some(end) if end > 0 && !tail.starts_with(' ') => {
                *styled += &format!("\x1b[{colour}m{}\x1b[0m", &tail[..end]);
                rest = &tail[end + mark.len()..];
            }
            _ => {
                styled.push_str(mark);
                rest = tail;
            }
        }
    }
    styled.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_emphasis_are_styled_and_lone_marks_stay() {
        assert_eq!(style("see `map`\n"), "see \x1b[36mmap\x1b[0m\n");
        assert_eq!(
            style("**two** *it* 2 * 3\n"),
            "\x1b[1mtwo\x1b[0m \x1b[3mit\x1b[0m 2 * 3\n"
        );
        assert_eq!(style("a ` b"), "a ` b");
        assert_eq!(style("# Title\n"), "\x1b[1mTitle\x1b[0m\n");
        assert_eq!(style("```nix\nx\n```\n"), "    \x1b[36mx\x1b[0m\n");
    }
}
