/* Opens an address in the browser of the person who ran us.
 *
 * A browser must not run as root nor as the user that owns secrets, so the
 * process that will become it is made first, takes the person's rights at
 * once, and then waits for the address: under root those of who called sudo.
 * Where there is no such person, there is no browser. What it runs is
 * $BROWSER (programs parted by ':', each with its arguments; %s is the
 * address), else xdg-open; no shell is involved.
 *
 *	struct browser browser;
 *	browser_prepare(&browser);
 *	… rights change …
 *	browser_open(&browser, url);
 *	… now and then: if (browser_failed(&browser)) tell the person
 *	browser_release(&browser);
 */
#ifndef BROWSER_H
#define BROWSER_H

#include <stdbool.h>
#include <sys/types.h>

struct browser {
	pid_t pid;	/* -1: none */
	int address;	/* where the address is written to, -1: done */
};

/* Is there a display of this machine's, and a person before it? Not where we
 * were called over ssh, nor where the display is forwarded. */
bool	browser_is_near(void);

void	browser_prepare(struct browser *);
void	browser_open(struct browser *, const char *url);
/* There is none, or it ended with a failure; true once. */
bool	browser_failed(struct browser *);
/* A browser that was opened stays. */
void	browser_release(struct browser *);

#endif
