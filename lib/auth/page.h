/* What the browser is shown at the end of a sign-in: whole HTTP answers, each
 * with one page that needs nothing from anywhere else and runs nothing (its
 * Content-Security-Policy allows its own style and no more). Text from
 * outside is escaped. Nothing is to be stored of them, and each ends the
 * connection.
 *
 *	struct buf answer;
 *	buf_init(&answer, PAGE_MAX);
 *	page_answer(&answer, &(struct page){ 200, true, "Signed in",
 *	    "You can close this window.", "" });
 */
#ifndef PAGE_H
#define PAGE_H

#include <stdbool.h>

struct buf;

#define PAGE_MAX	(32u * 1024)	/* bytes of an answer */

struct page {
	int status;		/* HTTP's */
	bool good;		/* the mark above the title */
	const char *title;
	const char *text;	/* a paragraph */
	const char *hint;	/* another, "" for none */
};

/* Append the answer. */
void	page_answer(struct buf *out, const struct page *);
/* Append one that sends the browser to 'url' (https, visible ASCII). */
void	page_forward(struct buf *out, const char *url);

#endif
