map toString [ [ "a" [ ] ] [ [ ] "a" ] [ "a" [ ] "b" ] [ [ ] [ ] ] [ "a" [ [ ] ] ] [ "a" "" ] [ "a" null ] [ "" "a" ] ]
