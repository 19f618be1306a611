/** Lists. */
rec {
  inherit (builtins)
    all any concatLists concatMap elem elemAt filter foldl' genList groupBy head length map partition sort tail;

  /** From the right: `foldr f z [ a b ]` is `f a (f b z)`. */
  foldr = f: initial: list:
    let
      size = length list;
      go = at: if at == size then initial else f (elemAt list at) (go (at + 1));
    in
    go 0;

  /** A list of one element. */
  singleton = x: [ x ];

  /** The list if the condition holds, else an empty one. */
  optionals = condition: list: if condition then list else [ ];

  /** A list of the element if the condition holds, else an empty one. */
  optional = condition: x: if condition then [ x ] else [ ];

  /** A list as it is; anything else as the list of it. */
  toList = x: if builtins.isList x then x else [ x ];

  /** The integers from the first to the last, both included. */
  range = first: last: if first > last then [ ] else genList (n: first + n) (last - first + 1);

  /** One list of all elements at any depth. */
  flatten = x: if builtins.isList x then concatMap flatten x else [ x ];

  /** The elements from the second list on that are not in the first: `subtractLists [ 1 ] [ 1 2 ]` is `[ 2 ]`. */
  subtractLists = without: filter (x: !elem x without);

  /** The elements that both lists have. */
  intersectLists = one: filter (x: elem x one);

  /** Each element once, where it came first. */
  unique = foldl' (seen: x: if elem x seen then seen else seen ++ [ x ]) [ ];

  /** Backwards. */
  reverseList = list: let size = length list; in genList (n: elemAt list (size - n - 1)) size;

  /** The last element. */
  last = list:
    if list == [ ] then throw "lib.last: the list is empty" else elemAt list (length list - 1);

  /** All but the last element. */
  init = list:
    if list == [ ] then throw "lib.init: the list is empty" else take (length list - 1) list;

  /** At most this many elements from the beginning. */
  take = count: list: genList (elemAt list) (if count < length list then count else length list);

  /** What is left after this many elements. */
  drop = count: list:
    let size = length list; in if count >= size then [ ] else genList (n: elemAt list (count + n)) (size - count);

  /** The first element for which the condition holds, or the default. */
  findFirst = condition: default: list:
    let found = filter condition list; in if found == [ ] then default else head found;

  /** How many elements the condition holds for. */
  count = condition: foldl' (n: x: if condition x then n + 1 else n) 0;

  /** `imap0 f [ a b ]` is `[ (f 0 a) (f 1 b) ]`. */
  imap0 = f: list: genList (n: f n (elemAt list n)) (length list);

  /** `imap1 f [ a b ]` is `[ (f 1 a) (f 2 b) ]`. */
  imap1 = f: list: genList (n: f (n + 1) (elemAt list n)) (length list);

  /** Pairs up two lists, as long as the shorter is. */
  zipListsWith = f: as: bs:
    let size = if length as < length bs then length as else length bs; in
    genList (n: f (elemAt as n) (elemAt bs n)) size;

  /** Pairs `{ fst, snd; }`. */
  zipLists = zipListsWith (fst: snd: { inherit fst snd; });

  /** Sorted by what a function makes of the elements. */
  sortOn = key: sort (a: b: key a < key b);

  /** The sum. */
  sum = foldl' builtins.add 0;
}
