/* Standard input, one item a line, indented by depth. Strings stay as they are. */
#include <ctype.h>
#include <stdio.h>

static void line(int depth)
{
    putchar('\n');
    for (int i = 0; i < depth; i++)
        fputs("  ", stdout);
}

int main(void)
{
    int depth = 0, in_string = 0, c;
    while ((c = getchar()) != EOF) {
        if (in_string) {
            putchar(c);
            if (c == '\\' && (c = getchar()) != EOF)
                putchar(c);
            else if (c == '"')
                in_string = 0;
            continue;
        }
        if (isspace(c))
            continue;
        switch (c) {
        case '{':
        case '[':
            putchar(c);
            line(++depth);
            break;
        case '}':
        case ']':
            line(depth > 0 ? --depth : 0);
            putchar(c);
            break;
        case ',':
            putchar(c);
            line(depth);
            break;
        case ':':
            fputs(": ", stdout);
            break;
        default:
            in_string = c == '"';
            putchar(c);
        }
    }
    putchar('\n');
    return 0;
}
