/* Functions that cannot be used safely, forbidden everywhere: this file is
 * included before every other by the compiler's -include. The headers that
 * declare them come first, then the names are poisoned, so that a use does
 * not compile. Instead: strlcpy, strlcat, snprintf, buf, strsep, strtonum.
 */
#ifndef BANNED_H
#define BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#undef strcpy
#undef strncpy
#undef strcat
#undef strncat
#undef strtok
#undef sprintf
#undef vsprintf
#undef gets
#undef atoi
#undef atol
#undef ctime
#undef asctime
#pragma GCC poison strcpy strncpy strcat strncat strtok sprintf vsprintf gets
#pragma GCC poison atoi atol ctime asctime

#endif
