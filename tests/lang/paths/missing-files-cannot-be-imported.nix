import /nonexistent/file.nix
