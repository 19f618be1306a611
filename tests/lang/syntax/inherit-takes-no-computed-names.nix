{ inherit (x) ${"a"}b; }
