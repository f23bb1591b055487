//! Circles: files of a target that are reached from themselves through what they use.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
};

use crate::{
    arrows::{Arrows, arrows},
    modules::Modules,
};

/// The shortest way round each circle of the target with this root, as a chain of files with what each uses of the next.
/// Circles that share a file are one.
pub fn circles(root: &Path) -> Vec<String> {
    let modules = Modules::read(root);
    let arrows = arrows(&modules);
    let mut told = BTreeSet::new();
    let mut chains = Vec::new();
    for &file in arrows.keys() {
        if told.contains(&file) {
            continue;
        }
        let Some(mut way) = way_round(&arrows, file) else { continue };
        let tied: Vec<usize> = arrows.keys().copied().filter(|other| are_tied(&arrows, file, *other)).collect();
        // Another of them may have a shorter way.
        for other in tied.iter().filter_map(|other| way_round(&arrows, *other)) {
            if other.len() < way.len() {
                way = other;
            }
        }
        chains.push(chain(&modules, &arrows, &way, tied.len()));
        told.extend(tied);
    }
    chains
}

fn chain(modules: &Modules, arrows: &Arrows, way: &[usize], tied: usize) -> String {
    let mut text = modules.shown(way[0]);
    for step in way.windows(2) {
        let names: Vec<&str> = arrows[&step[0]][&step[1]].iter().map(String::as_str).collect();
        text += &format!(" -> {} ({})", modules.shown(step[1]), names.join(", "));
    }
    let others = tied + 1 - way.len();
    if others > 0 { format!("{text}, and {others} more that are tied to these") } else { text }
}

fn are_tied(arrows: &Arrows, one: usize, other: usize) -> bool {
    one == other || way(arrows, one, other).is_some() && way(arrows, other, one).is_some()
}

fn way_round(arrows: &Arrows, file: usize) -> Option<Vec<usize>> {
    way(arrows, file, file)
}

/// The shortest way along arrows, at least one.
fn way(arrows: &Arrows, from: usize, to: usize) -> Option<Vec<usize>> {
    let mut before: BTreeMap<usize, usize> = BTreeMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(file) = next.pop_front() {
        for &used in arrows[&file].keys() {
            before.entry(used).or_insert_with(|| {
                next.push_back(used);
                file
            });
        }
        if before.contains_key(&to) {
            break;
        }
    }
    let mut way = vec![to];
    loop {
        let last = *before.get(way.last()?)?;
        way.push(last);
        if last == from {
            break;
        }
    }
    way.reverse();
    Some(way)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The circles of a target of these files.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        circles(&dir.path().join("lib.rs"))
    }

    #[test]
    fn files_that_use_each_other_are_a_circle() {
        let circles = found(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B; pub struct A(B);"),
            ("b.rs", "pub struct B; pub fn f() -> u8 { crate::c::f::<u8>() }"),
            ("c.rs", "pub fn f<T>() -> T { let _: super::a::A; todo() }"),
        ]);
        assert_eq!(circles, ["a.rs -> b.rs (B) -> c.rs (f) -> a.rs (A)"]);
    }

    #[test]
    fn circles_apart_are_told_apart() {
        let circles = found(&[
            ("lib.rs", "mod a; mod b; mod c; mod d; mod e;"),
            ("a.rs", "pub const A: u8 = crate::b::B;"),
            ("b.rs", "pub const B: u8 = 0; fn b() { crate::a::A; }"),
            ("c.rs", "pub const C: u8 = crate::d::D;"),
            ("d.rs", "pub const D: u8 = crate::c::C + crate::e::E;"),
            ("e.rs", "pub const E: u8 = crate::d::D;"),
        ]);
        let expected =
            ["a.rs -> b.rs (B) -> a.rs (A)", "c.rs -> d.rs (D) -> c.rs (C), and 1 more that are tied to these"];
        assert_eq!(circles, expected);
    }

    #[test]
    fn a_name_handed_on_is_its_definitions() {
        // `b` names the root alone, which hands on what `a` defines; and `a` uses `b`.
        let circles = found(&[
            ("lib.rs", "mod a; mod b; pub use a::deep::Given as Taken; pub use self::b::*;"),
            ("a.rs", "pub mod deep;"),
            ("a/deep.rs", "pub struct Given; pub fn f() { crate::B::new(); }"),
            ("b.rs", "use crate::Taken; pub struct B(Taken);"),
        ]);
        assert_eq!(circles, ["a/deep.rs -> b.rs (B) -> a/deep.rs (Taken)"]);
    }

    #[test]
    fn a_parent_uses_its_children_but_not_they_it() {
        let one_way = [("lib.rs", "mod a; use a::A; pub struct B(A);"), ("a.rs", "pub struct A;")];
        assert_eq!(found(&one_way), [""; 0]);
        let both = [("lib.rs", "mod a; use a::A; pub struct B(A);"), ("a.rs", "pub struct A; fn f(_: super::B) {}")];
        assert_eq!(found(&both), ["lib.rs -> a.rs (A) -> lib.rs (B)"]);
    }

    #[test]
    fn siblings_use_each_other_one_way_and_a_declaration_is_no_use() {
        let circles = found(&[
            ("lib.rs", "mod a; mod b; pub const NUMBER: u8 = 1;"),
            ("a.rs", "use super::{NUMBER, b}; fn f() { b::f(NUMBER) }"),
            ("b.rs", "pub fn f(_: u8) {}"),
        ]);
        assert_eq!(circles, [""; 0]);
    }

    #[test]
    fn a_module_is_not_taken_for_the_function_of_its_name() {
        let circles = found(&[
            ("lib.rs", "mod a; mod b; fn a() { b::f() }"),
            ("a.rs", "pub const A: u8 = 0;"),
            ("b.rs", "use crate::a::{self, A}; pub fn f() { a::A + A; }"),
        ]);
        assert_eq!(circles, [""; 0]);
    }

    #[test]
    fn what_is_there_for_tests_does_not_count() {
        let circles = found(&[
            ("lib.rs", "mod a; mod b; #[cfg(test)] mod c;"),
            ("a.rs", "pub struct A; impl A { #[cfg(test)] fn f() { crate::b::f() } }"),
            ("b.rs", "pub fn f() { crate::a::A; } #[cfg(test)] mod tests { use crate::a::A; }"),
        ]);
        assert_eq!(circles, [""; 0]);
    }

    #[test]
    fn paths_in_macros_blocks_and_parts_of_files_are_seen() {
        let circles = found(&[
            ("lib.rs", "#[macro_use] mod m; mod a; mod b; mod c;"),
            ("m.rs", "macro_rules! made { ($name:ident) => { pub struct $name; fn f() { $crate::c::g(); } } }"),
            ("a.rs", "pub mod part { pub fn f(x: u8) { println!(\"{}\", x.b + super::super::b::B) } }"),
            ("b.rs", "pub const B: u8 = 0; fn f() { use crate::a::part; part::f(0) }"),
            ("c.rs", "made!(Made); pub fn g() {}"),
        ]);
        assert_eq!(circles, ["m.rs -> c.rs (g) -> m.rs (made!)", "a.rs -> b.rs (B) -> a.rs (f)"]);
    }
}
