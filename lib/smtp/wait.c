#include "smtp/wait.h"

#include <errno.h>

#include "base/file.h"

int
wait_poll(const struct waiter *waiter, struct pollfd *fds, nfds_t count,
    double deadline)
{
	bool hooked = waiter != NULL && waiter->call != NULL;

	for (;;) {
		double left = deadline - file_now();
		bool last = !hooked || left <= WAIT_HOOK_INTERVAL;
		double slice = last ? left : WAIT_HOOK_INTERVAL;
		int ready;

		if (slice > 86400)
			slice = 86400;
		/* Rounded up: a wait that ends early would spin. */
		ready =
		    poll(fds, count, slice > 0 ? (int)(slice * 1000) + 1 : 0);
		if (ready > 0 || (ready == -1 && errno != EINTR))
			return ready;
		if (ready == 0 && left <= slice)
			return 0;
		if (hooked && !waiter->call(waiter->arg)) {
			errno = ECANCELED;
			return -1;
		}
	}
}
