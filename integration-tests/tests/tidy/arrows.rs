//! Arrows between the source files of a target: from a file to each that defines an item its text names.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, ImplItem, Item, ItemMod, ItemUse, Macro, Meta, TraitItem, visit, visit::Visit};

use crate::modules::{Modules, attributes, is_test, name_of, used};

/// For every file, by its place among them: the files it uses, with the names of what it uses of them.
pub type Arrows = BTreeMap<usize, BTreeMap<usize, BTreeSet<String>>>;

/// All arrows of a target.
pub fn arrows(modules: &Modules) -> Arrows {
    let mut found = Arrows::new();
    for (file, (_, module, read)) in modules.files.iter().enumerate() {
        let mut uses = Uses { modules, at: *module, found: BTreeMap::new() };
        read.items.iter().for_each(|item| uses.visit_item(item));
        uses.found.remove(&file);
        found.insert(file, uses.found);
    }
    found
}

/// What one file uses.
struct Uses<'a> {
    modules: &'a Modules,
    /// The module we are in.
    at: usize,
    found: BTreeMap<usize, BTreeSet<String>>,
}

impl Uses<'_> {
    fn note(&mut self, path: &[String]) {
        for (file, name) in self.modules.definitions(self.at, path) {
            self.found.entry(file).or_default().insert(name);
        }
    }

    fn note_macro(&mut self, path: &[String]) {
        let file = match path {
            [name] => self.modules.macro_file(name),
            [root, name] if root == "crate" => self.modules.macro_file(name),
            _ => None,
        };
        match file {
            Some(file) => drop(self.found.entry(file).or_default().insert(format!("{}!", path[path.len() - 1]))),
            None => self.note(path),
        }
    }

    /// Paths in what a macro or an attribute is given, which has a grammar of its own.
    fn tokens(&mut self, tokens: TokenStream, names_alone: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let sign = |at: usize| if let Some(TokenTree::Punct(sign)) = tokens.get(at) { sign.as_char() } else { ' ' };
        let colons = |at: usize| sign(at) == ':' && sign(at + 1) == ':';
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.tokens(group.stream(), names_alone),
                TokenTree::Ident(first) => {
                    // Fields, methods and lifetimes are no paths, and what goes on behind generics has begun before them.
                    let field = at > 0 && sign(at - 1) == '.' && !(at > 1 && sign(at - 2) == '.');
                    let goes_on = field || at > 0 && sign(at - 1) == '\'' || at > 1 && colons(at - 2);
                    let mut path = vec![name_of(first)];
                    while colons(at + 1)
                        && let Some(TokenTree::Ident(next)) = tokens.get(at + 3)
                    {
                        path.push(name_of(next));
                        at += 3;
                    }
                    if !goes_on && (names_alone || path.len() > 1) {
                        self.note(&path);
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
    }
}

impl<'a> Visit<'a> for Uses<'_> {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'a ImplItem) {
        if !matches!(item, ImplItem::Fn(function) if is_test(&function.attrs)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'a TraitItem) {
        if !matches!(item, TraitItem::Fn(function) if is_test(&function.attrs)) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, inner: &'a ItemMod) {
        // A declaration alone uses nothing, and a file of its own speaks for itself.
        if let (Some((_, items)), Some(module)) = (&inner.content, self.modules.child(self.at, &name_of(&inner.ident)))
        {
            let around = std::mem::replace(&mut self.at, module);
            items.iter().for_each(|item| self.visit_item(item));
            self.at = around;
        }
    }

    fn visit_item_use(&mut self, names: &'a ItemUse) {
        for used in used(names) {
            self.note(&used.path);
            if used.name.is_none()
                && let Some(file) = self.modules.module_file(self.at, &used.path)
            {
                self.found.entry(file).or_default().insert("*".to_owned());
            }
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.leading_colon.is_none() {
            self.note(&path.segments.iter().map(|segment| name_of(&segment.ident)).collect::<Vec<_>>());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'a Macro) {
        self.note_macro(&called.path.segments.iter().map(|segment| name_of(&segment.ident)).collect::<Vec<_>>());
        self.tokens(called.tokens.clone(), true);
    }

    fn visit_attribute(&mut self, attribute: &'a Attribute) {
        if let Meta::List(list) = &attribute.meta {
            // Names alone are the attribute's own words.
            self.tokens(list.tokens.clone(), false);
        }
    }
}
