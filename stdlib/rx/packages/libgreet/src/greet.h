#ifndef GREET_H
#define GREET_H

#include <stddef.h>

/* Writes a greeting in a language (a code of two letters; English if it is unknown) to a buffer.
   Returns its length, as snprintf does. */
int greet(char *buffer, size_t size, const char *language, const char *name);

#endif
