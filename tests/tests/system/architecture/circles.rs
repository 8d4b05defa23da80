//! Import circles within a crate, found by reading its sources: a file imports another when it names something that the other
//! defines, by `use` or by a path. What a module only hands on (`pub use`) counts for those who use it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

/// The path of a module below the crate.
type Module = Vec<String>;

/// A crate, read: what each module hands on, and what it imports.
#[derive(Default)]
struct Sources {
    texts: BTreeMap<Module, String>,
    names: BTreeMap<Module, BTreeMap<String, Module>>,
}

/// Imports between the files of a crate; tests are left out, for they may know everything.
pub(crate) fn imports(src: &Path) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut sources = Sources::default();
    read(src, &mut Vec::new(), &mut sources.texts);
    for (module, text) in &sources.texts {
        let mut names = BTreeMap::new();
        for (_, path) in uses(text).0 {
            if let Some(path) = sources.absolute(module, &path)
                && let Some(name) = path.last().filter(|name| *name != "*")
            {
                names.insert(name.clone(), path.clone());
            }
        }
        sources.names.insert(module.clone(), names);
    }
    let mut all = BTreeMap::new();
    for (module, text) in &sources.texts {
        let (imported, code) = uses(text);
        let imported = imported.into_iter().filter(|(is_public, _)| !is_public);
        let mut paths: Vec<Module> = imported.map(|(_, path)| path).collect();
        paths.extend(inline_paths(&code));
        let found = paths.iter().filter_map(|path| {
            let path = sources.absolute(module, path)?;
            sources.home(&path, 0).filter(|home| home != module)
        });
        all.insert(module.clone(), found.collect());
    }
    all
}

/// A circle of more than two files through each import that is part of one, the shortest there is.
pub(crate) fn circles(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<Vec<Module>> {
    let mut found = BTreeSet::new();
    for (from, targets) in imports {
        for to in targets {
            // The way back, but not by the import of the two of each other, which is a circle of two.
            if let Some(mut circle) = way(imports, to, from) {
                let first = circle.iter().enumerate().min_by_key(|(_, m)| (*m).clone());
                let first = first.map_or(0, |(at, _)| at);
                circle.rotate_left(first);
                found.insert(circle);
            }
        }
    }
    found.into_iter().collect()
}

fn way(imports: &BTreeMap<Module, BTreeSet<Module>>, from: &Module, to: &Module) -> Option<Vec<Module>> {
    let mut before: BTreeMap<&Module, &Module> = BTreeMap::new();
    let mut open = VecDeque::from([from]);
    while let Some(at) = open.pop_front() {
        for next in imports.get(at).into_iter().flatten() {
            let is_direct = at == from && next == to;
            if is_direct || next == from || before.contains_key(next) {
                continue;
            }
            before.insert(next, at);
            if next == to {
                let mut circle = vec![next.clone()];
                let mut last = next;
                while let Some(earlier) = before.get(last) {
                    circle.push((*earlier).clone());
                    last = earlier;
                }
                circle.reverse();
                return Some(circle);
            }
            open.push_back(next);
        }
    }
    None
}

impl Sources {
    /// A path from the root of the crate; `None` when it leads out of the crate.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        let joined = |base: &[String], rest: &[String]| [base, rest].concat();
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some(joined(module, rest)),
            "super" => {
                let parents = path.iter().take_while(|part| *part == "super").count();
                let base = &module[..module.len().checked_sub(parents)?];
                Some(joined(base, &path[parents..]))
            }
            _ => {
                let child = joined(module, std::slice::from_ref(first));
                self.texts.contains_key(&child).then(|| joined(module, path))
            }
        }
    }

    /// The module that defines what a path names.
    fn home(&self, path: &[String], depth: usize) -> Option<Module> {
        let known = (0..=path.len())
            .rev()
            .find(|&n| self.texts.contains_key(&path[..n]))?;
        let module = path[..known].to_vec();
        let handed_on = path
            .get(known)
            .and_then(|name| self.names.get(&module)?.get(name))
            .filter(|target| depth < 16 && target.as_slice() != path);
        match handed_on {
            Some(target) => self.home(&[target.as_slice(), &path[known + 1..]].concat(), depth + 1),
            None => Some(module),
        }
    }
}

/// The files below a folder by their modules, without comments and tests.
fn read(folder: &Path, module: &mut Module, texts: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if stem == "tests" {
            continue;
        }
        if path.is_dir() {
            module.push(stem);
            read(&path, module, texts);
            module.pop();
        } else if path.extension().is_some_and(|e| e == "rs") {
            let mut name = module.clone();
            if !["mod", "lib", "main"].contains(&stem.as_str()) {
                name.push(stem);
            }
            texts.insert(name, code(&fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Sources without comments and without the tests at their end.
fn code(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    match text.split_once("\n#[cfg(test)]\nmod tests {") {
        Some((code, _)) => code.to_owned(),
        None => text,
    }
}

/// The declarations `use`, one path each, and whether they hand it on; and the code without them.
fn uses(text: &str) -> (Vec<(bool, Module)>, String) {
    let (mut found, mut others) = (Vec::new(), String::new());
    let mut rest = text;
    while let Some(at) = rest.find("use ") {
        let before = rest[..at].rsplit('\n').next().unwrap_or_default().trim();
        let is_declaration = before.is_empty() || (before.starts_with("pub") && !before.contains('{'));
        let (code, tree) = (&rest[..at], &rest[at + 4..]);
        rest = tree;
        // A text may begin a line with the word, too.
        let is_tree = |end: &usize| tree[..*end].chars().all(is_of_a_tree);
        let Some(end) = tree.find(';').filter(|end| is_declaration && is_tree(end)) else {
            others += code;
            continue;
        };
        let mut paths = Vec::new();
        expand("", &tree[..end], &mut paths);
        let split = |path: String| path.split("::").map(|part| part.trim().to_owned()).collect();
        found.extend(paths.into_iter().map(|path| (!before.is_empty(), split(path))));
        others += code.strip_suffix(&format!("{before} ")).unwrap_or(code);
        rest = &tree[end..];
    }
    (found, others + rest)
}

fn is_of_a_tree(letter: char) -> bool {
    letter.is_alphanumeric() || letter.is_whitespace() || "_:{},*#".contains(letter)
}

/// The paths of a tree of imports: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(brace) = tree.find('{') else {
        let name = tree.split(" as ").next().unwrap_or_default().trim();
        let path = format!("{prefix}{name}");
        let path = path.strip_suffix("::self").unwrap_or(&path);
        if !path.is_empty() {
            paths.push(path.to_owned());
        }
        return;
    };
    let inner = &tree[brace + 1..tree.rfind('}').unwrap_or(tree.len())];
    let prefix = format!("{prefix}{}", tree[..brace].trim());
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in inner.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &inner[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    expand(&prefix, &inner[start..], paths);
}

/// Paths within the code: every sequence of names with `::` between them.
fn inline_paths(text: &str) -> Vec<Module> {
    let is_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    // `pub(in a::b)` imports nothing.
    let parts_of_text = text.split("pub(in ").enumerate().flat_map(|(at, part)| {
        match part.split_once(')') {
            Some((_, code)) if at > 0 => code,
            _ => part,
        }
        .split(|letter| !is_path(letter))
    });
    let words = parts_of_text.filter(|word| word.contains("::"));
    let parts = |word: &str| -> Module {
        let parts = word.trim_matches(':').split("::");
        parts.map(str::to_owned).collect()
    };
    words.map(parts).filter(|path| path.len() > 1).collect()
}

#[test]
fn circles_are_found_through_what_modules_hand_on() {
    let module = |path: &str| -> Module { path.split('/').map(str::to_owned).collect() };
    let (declared, others) = uses(
        "use a::{b, c::{d, self}};\npub(crate) use e::f as g;\nlet x = h::i(\"\n  use {one} or another\");",
    );
    let expected = [(false, "a/b"), (false, "a/c/d"), (false, "a/c"), (true, "e/f")];
    assert_eq!(
        declared,
        expected.map(|(is_public, path)| (is_public, module(path)))
    );
    assert_eq!(inline_paths(&others), [module("h/i")]);
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::Two; // use crate::b::no"),
        ("b/mod.rs", "mod two;\nmod three;\npub use two::Two;"),
        ("b/two.rs", "use super::three;\npub struct Two;"),
        (
            "b/three.rs",
            "fn f() { crate::a::g() }\n#[cfg(test)]\nmod tests {\nuse super::super::b;\n}",
        ),
    ];
    fs::create_dir(folder.path().join("b")).unwrap();
    for (name, code) in files {
        fs::write(folder.path().join(name), code).unwrap();
    }
    assert_eq!(
        circles(&imports(folder.path())),
        [vec![module("a"), module("b/two"), module("b/three")]]
    );
    fs::write(folder.path().join("b/three.rs"), "use super::two::Two;").unwrap();
    assert!(
        circles(&imports(folder.path())).is_empty(),
        "two may know each other"
    );
}
