//! The XML that values are printed as: elements on lines of their own, indented by two, attributes in quotes.

/// Writes elements.
#[derive(Debug)]
pub struct XmlWriter {
    out: Vec<u8>,
    open: Vec<&'static str>,
}

/// An attribute of an element.
pub type Attribute<'a> = (&'static str, &'a [u8]);

impl Default for XmlWriter {
    fn default() -> Self {
        Self {
            out: b"<?xml version='1.0' encoding='utf-8'?>\n".to_vec(),
            open: Vec::new(),
        }
    }
}

impl XmlWriter {
    /// Begins an element. Attributes are written in the order given.
    pub fn begin(&mut self, name: &'static str, attributes: &[Attribute<'_>]) {
        self.tag(name, attributes);
        self.out.extend_from_slice(b">\n");
        self.open.push(name);
    }

    /// Ends the innermost element.
    pub fn end(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.out.extend_from_slice(b"</");
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b">\n");
        }
    }

    /// Writes an element without content.
    pub fn empty(&mut self, name: &'static str, attributes: &[Attribute<'_>]) {
        self.tag(name, attributes);
        self.out.extend_from_slice(b" />\n");
    }

    /// How much has been written.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// A document is never empty: it has its head.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The document, with all elements ended.
    pub fn finish(mut self) -> Vec<u8> {
        while !self.open.is_empty() {
            self.end();
        }
        self.out
    }

    fn indent(&mut self) {
        self.out
            .extend(std::iter::repeat_n(b' ', 2 * self.open.len()));
    }

    fn tag(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.indent();
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        for (name, value) in attributes {
            self.out.push(b' ');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"=\"");
            escape(value, &mut self.out);
            self.out.push(b'"');
        }
    }
}

/// Newlines are escaped too, since a parser would make spaces of them.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"&quot;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'\n' => out.extend_from_slice(b"&#xA;"),
            byte => out.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_indented_and_attributes_escaped() {
        let mut xml = XmlWriter::default();
        xml.begin("expr", &[]);
        xml.begin("list", &[]);
        xml.empty("string", &[("value", b"<a & \"b\">\n\t\xff")]);
        let expected = b"<?xml version='1.0' encoding='utf-8'?>\n<expr>\n  <list>\n    \
            <string value=\"&lt;a &amp; &quot;b&quot;&gt;&#xA;\t\xff\" />\n  </list>\n</expr>\n";
        assert_eq!(xml.finish(), expected);
    }
}
