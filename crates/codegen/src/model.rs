//! The type of one schema, in a module of its own.

use std::panic::catch_unwind;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use schemars_08::schema::RootSchema;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Expr, ExprLit, File, ItemEnum, ItemStruct, ItemType, Lit, Meta, Path};
use typify::{TypeSpace, TypeSpaceSettings};

use crate::schema;

/// What the generator calls the root; nested types begin with it.
const ROOT: &str = "Tool";

/// What the root's documentation says when no type could be made.
const REASON_CHARS: usize = 200;

/// The items of a module with the type of a schema; any JSON object where no type can be made of it.
pub(crate) fn of(schema: &str, name: &Ident) -> TokenStream {
    items(schema, name).unwrap_or_else(|reason| {
        let reason: String = reason.chars().take(REASON_CHARS).collect();
        let doc = format!(" Any object: {}", reason.replace(['\n', '\r'], " "));
        quote! {
            #[doc = #doc]
            pub type #name = ::serde_json::Map<::std::string::String, ::serde_json::Value>;
        }
    })
}

fn items(schema: &str, name: &Ident) -> Result<TokenStream, String> {
    let shape = schema::shape(schema, ROOT)?;
    let root: RootSchema = serde_json::from_value(shape).map_err(|error| error.to_string())?;
    // The generator gives up on some schemas with a panic.
    let made = catch_unwind(move || {
        let mut types =
            TypeSpace::new(TypeSpaceSettings::default().with_derive("PartialEq".into()));
        let id = types
            .add_root_schema(root)
            .map_err(|error| error.to_string())?;
        let id = id.ok_or("the schema makes no type")?;
        let called = types.get_type(&id).map_err(|error| error.to_string())?;
        Ok::<_, String>((called.name(), types.to_stream()))
    });
    let (called, stream) = made.map_err(|_| "the schema is beyond the generator".to_owned())??;
    let mut file: File = syn::parse2(stream).map_err(|error| error.to_string())?;
    let mut finish = Finish {
        from: called,
        to: name.clone(),
        named: false,
    };
    finish.visit_file_mut(&mut file);
    if !finish.named {
        return Err("the schema makes no type of its own".to_owned());
    }
    let items = file.items;
    Ok(quote! { #(#items)* })
}

/// Gives the root its name and leaves the schema out of the documentation.
struct Finish {
    from: String,
    to: Ident,
    named: bool,
}

impl Finish {
    fn declared(&mut self, ident: &mut Ident) {
        if *ident == self.from {
            *ident = self.to.clone();
            self.named = true;
        }
    }
}

impl VisitMut for Finish {
    fn visit_item_struct_mut(&mut self, item: &mut ItemStruct) {
        self.declared(&mut item.ident);
        visit_mut::visit_item_struct_mut(self, item);
    }

    fn visit_item_enum_mut(&mut self, item: &mut ItemEnum) {
        self.declared(&mut item.ident);
        visit_mut::visit_item_enum_mut(self, item);
    }

    fn visit_item_type_mut(&mut self, item: &mut ItemType) {
        self.declared(&mut item.ident);
        visit_mut::visit_item_type_mut(self, item);
    }

    fn visit_path_mut(&mut self, path: &mut Path) {
        let near = path.segments.len() == 1
            || path
                .segments
                .first()
                .is_some_and(|first| first.ident == "super" || first.ident == "self");
        if near
            && let Some(last) = path.segments.last_mut()
            && last.ident == self.from
        {
            last.ident = self.to.clone();
        }
        visit_mut::visit_path_mut(self, path);
    }

    fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
        attributes.retain_mut(|attribute| {
            let Meta::NameValue(pair) = &mut attribute.meta else {
                return true;
            };
            let Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) = &mut pair.value
            else {
                return true;
            };
            if !pair.path.is_ident("doc") {
                return true;
            }
            let value = text.value();
            let kept = value.split("<details>").next().unwrap_or_default();
            let kept = kept.replace(&format!("`{}`", self.from), &format!("`{}`", self.to));
            *text = syn::LitStr::new(kept.trim_end(), text.span());
            !kept.trim().is_empty()
        });
    }
}
