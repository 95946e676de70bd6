//! The frame of a page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::palette;

const STYLE: &str = include_str!("style.css");

/// Forbids browsers to load or run anything that is not in the file, should it ever ask for it.
const NOTHING_FROM_OUTSIDE: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A part of a page.
pub(super) struct Section {
    /// Its name in addresses.
    pub(super) id: &'static str,
    /// Its heading.
    pub(super) title: &'static str,
    /// What is in it.
    pub(super) content: Markup,
}

/// A whole page, which loads nothing from anywhere.
pub(super) fn page(title: &str, head: &Markup, sections: &[Section]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(NOTHING_FROM_OUTSIDE);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                // An empty icon: without one, browsers ask the server for it.
                link rel="icon" href="data:,";
                style { (PreEscaped(palette::style_sheet())) (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    (head)
                    nav aria-label="Sections" {
                        @for section in sections { a href={ "#" (section.id) } { (section.title) } }
                    }
                }
                main {
                    @for section in sections {
                        section id=(section.id) {
                            h2 { (section.title) }
                            (section.content)
                        }
                    }
                }
            }
        }
    }
}

/// Numbers to be seen first: (what, how much).
pub(super) fn figures(figures: &[(&str, String)]) -> Markup {
    html! {
        dl.figures {
            @for (name, value) in figures { div { dt { (name) } dd { (value) } } }
        }
    }
}
