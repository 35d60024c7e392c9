/* Memory or the end: these never return NULL. A mailer that runs out of
 * memory has nothing better to do than to say so and exit EX_TEMPFAIL, with
 * nothing sent and nothing queued, so no caller carries a path for it.
 * Everything returned is released with free().
 */
#ifndef XALLOC_H
#define XALLOC_H

#include <stddef.h>

void	*xmalloc(size_t size);
void	*xcalloc(size_t count, size_t size);
void	*xreallocarray(void *old, size_t count, size_t size);
char	*xstrdup(const char *text);
/* At most 'len' bytes of 'text', NUL-ended. */
char	*xstrndup(const char *text, size_t len);
char	*xasprintf(const char *format, ...)
	    __attribute__((format(printf, 1, 2)));

#endif
