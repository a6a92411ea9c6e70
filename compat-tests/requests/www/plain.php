plain text, no PHP at all
