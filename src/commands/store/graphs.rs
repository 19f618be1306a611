//! References as a tree, for Graphviz, and as GraphML.

use std::collections::BTreeSet;
use std::io::Write;

use rx_store::path::StorePath;
use rx_store::store::Store;
use rx_store::store::closure::topological_paths;

use crate::ui::{self, Failure};

/// Prints what a path refers to, and that refers to; what was printed before only by name.
pub fn print_tree(
    store: &dyn Store,
    path: &StorePath,
    done: &mut BTreeSet<StorePath>,
) -> Result<(), Failure> {
    struct Line {
        path: StorePath,
        first: String,
        tail: String,
    }
    let mut out = ui::stdout();
    let mut todo = vec![Line {
        path: path.clone(),
        first: String::new(),
        tail: String::new(),
    }];
    while let Some(Line { path, first, tail }) = todo.pop() {
        let known = !done.insert(path.clone());
        out.write_all(first.as_bytes())?;
        out.write_all(&store.dir().print(&path))?;
        out.write_all(if known { b" [...]\n" } else { b"\n" })?;
        if known {
            continue;
        }
        let info = store.path_info(&path)?;
        // Sorted, what is deep comes first, which keeps the tree flat. The last is pushed first, being printed last.
        for (n, child) in topological_paths(store, &info.references)?
            .into_iter()
            .enumerate()
        {
            let (joint, below) = if n == 0 {
                ("└───", "    ")
            } else {
                ("├───", "│   ")
            };
            todo.push(Line {
                path: child,
                first: format!("{tail}{joint}"),
                tail: format!("{tail}{below}"),
            });
        }
    }
    out.flush()?;
    Ok(())
}

/// Prints references for Graphviz.
pub fn print_dot(store: &dyn Store, roots: BTreeSet<StorePath>) -> Result<(), Failure> {
    const COLOURS: [&str; 6] = ["black", "red", "green", "blue", "magenta", "burlywood"];
    let mut out = ui::stdout();
    let mut todo = roots;
    let mut done = BTreeSet::new();
    let mut edges = 0;
    writeln!(out, "digraph G {{")?;
    while let Some(path) = todo.pop_first() {
        if !done.insert(path.clone()) {
            continue;
        }
        writeln!(
            out,
            "\"{path}\" [label = \"{}\", shape = box, style = filled, fillcolor = \"#ff0000\"];",
            path.name()
        )?;
        for reference in store
            .path_info(&path)?
            .references
            .iter()
            .filter(|r| **r != path)
        {
            todo.insert(reference.clone());
            let colour = COLOURS[edges % COLOURS.len()];
            edges += 1;
            writeln!(out, "\"{reference}\" -> \"{path}\" [color = \"{colour}\"];")?;
        }
    }
    writeln!(out, "}}")?;
    out.flush()?;
    Ok(())
}

/// Prints references as GraphML.
pub fn print_graphml(store: &dyn Store, roots: BTreeSet<StorePath>) -> Result<(), Failure> {
    let mut out = ui::stdout();
    let mut todo = roots;
    let mut done = BTreeSet::new();
    out.write_all(
        b"<?xml version='1.0' encoding='utf-8'?>\n\
          <graphml xmlns='http://graphml.graphdrawing.org/xmlns'\n    \
          xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'\n    \
          xsi:schemaLocation='http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd'>\n\
          <key id='narSize' for='node' attr.name='narSize' attr.type='long'/>\
          <key id='name' for='node' attr.name='name' attr.type='string'/>\
          <key id='type' for='node' attr.name='type' attr.type='string'/>\
          <graph id='G' edgedefault='directed'>\n",
    )?;
    while let Some(path) = todo.pop_first() {
        if !done.insert(path.clone()) {
            continue;
        }
        let info = store.path_info(&path)?;
        // The name up to its first dash, which is what the format's readers are used to.
        let name = path
            .name()
            .find('-')
            .map_or("", |dash| &path.name()[..=dash]);
        let kind = if path.is_derivation() {
            "derivation"
        } else {
            "output-path"
        };
        writeln!(out, "  <node id=\"{path}\">")?;
        writeln!(out, "    <data key=\"narSize\">{}</data>", info.nar_size)?;
        writeln!(out, "    <data key=\"name\">{name}</data>")?;
        writeln!(out, "    <data key=\"type\">{kind}</data>")?;
        writeln!(out, "  </node>")?;
        for reference in info.references.iter().filter(|r| **r != path) {
            todo.insert(reference.clone());
            writeln!(out, "  <edge source=\"{path}\" target=\"{reference}\"/>")?;
        }
    }
    out.write_all(b"</graph>\n</graphml>\n")?;
    out.flush()?;
    Ok(())
}
