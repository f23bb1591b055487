//! The modules of one target (a library or a program) as its source files declare them, without what is only there for
//! tests, and what a path in one of them leads to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{Attribute, Item, ItemMod, ItemUse, Meta, UseTree, visit::Visit};

/// The modules of one target. The first file and the first module are its root.
#[derive(Default)]
pub struct Modules {
    /// Every source file, by its path as given or found, with its module and what it says.
    pub files: Vec<(PathBuf, usize, syn::File)>,
    modules: Vec<Module>,
    /// Files in which macros are defined, by the macro's name: it needs no path where its text comes before.
    macros: BTreeMap<String, usize>,
}

/// One module: a file, or a part of one.
#[derive(Default)]
struct Module {
    parent: usize,
    file: usize,
    names: BTreeMap<String, Vec<Name>>,
    /// Paths of modules all of whose names are names here.
    globs: Vec<Vec<String>>,
}

/// What a name stands for.
enum Name {
    /// A type, trait or the like, defined here.
    Item,
    /// A function, constant or static, defined here: no path goes on behind it.
    Value,
    Module(usize),
    /// What that path leads to from here.
    Alias(Vec<String>),
}

/// Where a path leads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// An item that is defined in this file.
    Item(usize),
    /// The same, of those that no path goes on behind.
    Value(usize),
    Module(usize),
}

/// Steps taken on the way, so that names that stand for each other end.
type Seen = BTreeSet<(usize, Vec<String>)>;

impl Modules {
    /// Reads the root's file and all that it declares.
    pub fn read(root: &Path) -> Self {
        let mut modules = Self::default();
        modules.file(root.to_owned(), 0, root.parent().expect("a file is in a directory"));
        modules
    }

    /// The module that is declared as `name` in `at`.
    pub fn child(&self, at: usize, name: &str) -> Option<usize> {
        let names = self.modules[at].names.get(name)?;
        names.iter().find_map(|name| if let Name::Module(module) = name { Some(*module) } else { None })
    }

    /// Files in which the item that `path` names in the module `at` is defined, with the name it is known by there. None
    /// if it is of another crate, or nothing but modules.
    pub fn definitions(&self, at: usize, path: &[String]) -> Vec<(usize, String)> {
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        let mut seen = Seen::new();
        let mut places = self.first(at, first, &mut seen);
        let mut name = first;
        for step in rest {
            // The rest of a path behind an item is part of that item.
            if !places.iter().any(|place| matches!(place, Place::Module(_))) {
                break;
            }
            (places, name) = (self.step(&places, step, &mut seen), step);
        }
        let file = |place: Place| match place {
            Place::Item(file) | Place::Value(file) => Some((file, name.clone())),
            Place::Module(_) => None,
        };
        places.into_iter().filter_map(file).collect()
    }

    /// The file of the module that `path` names in the module `at`.
    pub fn module_file(&self, at: usize, path: &[String]) -> Option<usize> {
        self.resolve(at, path, &mut Seen::new()).into_iter().find_map(|place| match place {
            Place::Module(module) => Some(self.modules[module].file),
            Place::Item(_) | Place::Value(_) => None,
        })
    }

    /// The file in which a macro of this target is defined.
    pub fn macro_file(&self, name: &str) -> Option<usize> {
        self.macros.get(name).copied()
    }

    /// The file's name within the target.
    pub fn shown(&self, file: usize) -> String {
        let dir = self.files[0].0.parent().expect("a file is in a directory");
        let path = &self.files[file].0;
        path.strip_prefix(dir).unwrap_or(path).display().to_string()
    }
}

/// Reading.
impl Modules {
    /// Reads a file as a module; those it declares are below `dir`.
    fn file(&mut self, path: PathBuf, parent: usize, dir: &Path) -> usize {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let read = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (file, module) = (self.files.len(), self.modules.len());
        self.modules.push(Module { parent, file, ..Module::default() });
        let items = if is_test(&read.attrs) { Vec::new() } else { read.items.clone() };
        self.files.push((path, module, syn::File { items: Vec::new(), ..read }));
        self.items(&items, module, dir);
        self.files[file].2.items = items;
        module
    }

    fn items(&mut self, items: &[Item], at: usize, dir: &Path) {
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            match item {
                Item::Mod(inner) => self.inner(inner, at, dir),
                Item::Use(names) => self.aliases(names, at),
                other => {
                    self.define(other, at);
                    let mut inside = UsesInside::default();
                    inside.visit_item(other);
                    inside.0.iter().for_each(|names| self.aliases(names, at));
                }
            }
        }
    }

    fn inner(&mut self, inner: &ItemMod, at: usize, dir: &Path) {
        let name = name_of(&inner.ident);
        let module = match &inner.content {
            Some((_, items)) => {
                let module = self.modules.len();
                let file = self.modules[at].file;
                self.modules.push(Module { parent: at, file, ..Module::default() });
                self.items(items, module, &dir.join(&name));
                module
            }
            None => {
                let (path, dir) = self.place_of(inner, &name, at, dir);
                self.file(path, at, &dir)
            }
        };
        self.modules[at].names.entry(name).or_default().push(Name::Module(module));
    }

    /// The file of a module that is declared, and the directory of those that it declares.
    fn place_of(&self, inner: &ItemMod, name: &str, at: usize, dir: &Path) -> (PathBuf, PathBuf) {
        if let Some(path) = inner.attrs.iter().find_map(path_attribute) {
            let beside = self.files[self.modules[at].file].0.parent().expect("a file is in a directory");
            let path = beside.join(path);
            let dir = path.parent().expect("a file is in a directory").to_owned();
            return (path, dir);
        }
        let below = dir.join(name);
        let (plain, folder) = (dir.join(format!("{name}.rs")), below.join("mod.rs"));
        (if folder.is_file() { folder } else { plain }, below)
    }

    fn define(&mut self, item: &Item, at: usize) {
        let (name, kind) = match item {
            Item::Const(item) => (&item.ident, Name::Value),
            Item::Enum(item) => (&item.ident, Name::Item),
            Item::Fn(item) => (&item.sig.ident, Name::Value),
            Item::Static(item) => (&item.ident, Name::Value),
            Item::Struct(item) => (&item.ident, Name::Item),
            Item::Trait(item) => (&item.ident, Name::Item),
            Item::TraitAlias(item) => (&item.ident, Name::Item),
            Item::Type(item) => (&item.ident, Name::Item),
            Item::Union(item) => (&item.ident, Name::Item),
            Item::Macro(item) => {
                let Some(name) = &item.ident else { return };
                self.macros.insert(name_of(name), self.modules[at].file);
                return;
            }
            _ => return,
        };
        self.modules[at].names.entry(name_of(name)).or_default().push(kind);
    }

    fn aliases(&mut self, names: &ItemUse, at: usize) {
        for used in used(names) {
            match used.name {
                Some(name) => self.modules[at].names.entry(name).or_default().push(Name::Alias(used.path)),
                None => self.modules[at].globs.push(used.path),
            }
        }
    }
}

/// Finding.
impl Modules {
    fn resolve(&self, at: usize, path: &[String], seen: &mut Seen) -> Vec<Place> {
        // Twice on the same way leads nowhere.
        if !seen.insert((at, path.to_vec())) {
            return Vec::new();
        }
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        let places = self.first(at, first, seen);
        rest.iter().fold(places, |places, step| self.step(&places, step, seen))
    }

    /// Where the first name of a path leads. A name that is not known there is another crate's.
    fn first(&self, at: usize, name: &str, seen: &mut Seen) -> Vec<Place> {
        match name {
            "crate" => vec![Place::Module(0)],
            "self" => vec![Place::Module(at)],
            "super" => vec![Place::Module(self.modules[at].parent)],
            name => self.look_up(at, name, seen),
        }
    }

    fn step(&self, places: &[Place], name: &str, seen: &mut Seen) -> Vec<Place> {
        let mut found = BTreeSet::new();
        for place in places {
            match *place {
                Place::Value(_) => {}
                // The rest of a path behind an item is part of that item; `{self}` is what is before it.
                Place::Item(_) => found.extend([*place]),
                Place::Module(_) if name == "self" => found.extend([*place]),
                Place::Module(module) if name == "super" => found.extend([Place::Module(self.modules[module].parent)]),
                Place::Module(module) => match self.look_up(module, name, seen) {
                    // What a macro makes is not seen. It is where it is said to be.
                    unseen if unseen.is_empty() => found.extend([Place::Item(self.modules[module].file)]),
                    seen => found.extend(seen),
                },
            }
        }
        found.into_iter().collect()
    }

    fn look_up(&self, at: usize, name: &str, seen: &mut Seen) -> Vec<Place> {
        let module = &self.modules[at];
        if let Some(names) = module.names.get(name) {
            let places = names.iter().flat_map(|name| match name {
                Name::Item => vec![Place::Item(module.file)],
                Name::Value => vec![Place::Value(module.file)],
                Name::Module(module) => vec![Place::Module(*module)],
                Name::Alias(path) => self.resolve(at, path, seen),
            });
            return places.collect();
        }
        let mut places = Vec::new();
        for path in &module.globs {
            for place in self.resolve(at, path, seen) {
                if let Place::Module(other) = place
                    && seen.insert((other, vec![name.to_owned()]))
                {
                    places.extend(self.look_up(other, name, seen));
                }
            }
        }
        places
    }
}

/// One path that a `use` names.
pub struct Used {
    /// The path.
    pub path: Vec<String>,
    /// The name by which it is known; none for `*`.
    pub name: Option<String>,
}

/// All paths that a `use` names.
pub fn used(names: &ItemUse) -> Vec<Used> {
    let mut found = Vec::new();
    if names.leading_colon.is_none() {
        flatten(&names.tree, &mut Vec::new(), &mut found);
    }
    found
}

fn flatten(tree: &UseTree, before: &mut Vec<String>, found: &mut Vec<Used>) {
    let leaf = |before: &[String], last: &syn::Ident| [before, &[name_of(last)]].concat();
    match tree {
        UseTree::Path(path) => {
            before.push(name_of(&path.ident));
            flatten(&path.tree, before, found);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, found)),
        UseTree::Name(name) => {
            let path = leaf(before, &name.ident);
            let known_by = path.iter().rfind(|name| *name != "self").or(path.last());
            found.push(Used { name: known_by.cloned(), path });
        }
        UseTree::Rename(name) => {
            found.push(Used { path: leaf(before, &name.ident), name: Some(name_of(&name.rename)) });
        }
        UseTree::Glob(_) => found.push(Used { path: before.clone(), name: None }),
    }
}

/// What functions and blocks of an item use for themselves. It counts as used by the module.
#[derive(Default)]
struct UsesInside(Vec<ItemUse>);

impl<'a> Visit<'a> for UsesInside {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_test(attributes(item)) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, names: &'a ItemUse) {
        self.0.push(names.clone());
    }
}

/// The identifier without `r#`.
pub fn name_of(ident: &syn::Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map_or(name.clone(), str::to_owned)
}

/// Whether this is there for tests only.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition == "test" || condition.starts_with("all") && condition.contains("(test")
        }
        _ => false,
    })
}

fn path_attribute(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(meta) = &attribute.meta else { return None };
    let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &meta.value else { return None };
    meta.path.is_ident("path").then(|| text.value())
}

/// The attributes of an item.
pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
