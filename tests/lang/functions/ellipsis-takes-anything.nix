({ ... }: 1) { a = throw "never"; }
