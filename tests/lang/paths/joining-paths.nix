/a + /b/c
