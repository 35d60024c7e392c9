/* Files of one account in STATE_DIR/state (DESIGN: throttle and hold): their
 * names, and the folder.
 */
#ifndef STATE_H
#define STATE_H

#define STATE_FOLDER	"state"	/* in STATE_DIR */

struct account;
struct config;
struct error;

/* Path of the account's file of that kind ("ledger", "hold" …); to be freed. */
char	*state_path(const struct config *, const struct account *,
	    const char *kind);
/* Make the folder where it is missing. EX_CANTCREAT. */
int	state_make_folder(const struct config *, struct error *);

#endif
