"""From summaries to pictures with their tables, one module a page. Pure."""
