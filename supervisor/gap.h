/*
 * supervisor/gap.h - how regularly beats come over one link: histogram of gaps. Pure.
 */
#ifndef SUPERVISOR_GAP_H
#define SUPERVISOR_GAP_H

#include <stdint.h>

#define GAP_BUCKETS 64		/* logarithmic: 4 per power of two, from 1 ms */

struct gap {
	uint64_t	bucket[GAP_BUCKETS];
	uint64_t	count, max_us, lost;	/* lost: sequence numbers that never came */
	uint64_t	last_us;		/* when the last beat came, 0 = none */
	uint64_t	last_seq;
};
void	 gap_add(struct gap *, uint64_t now_us, uint64_t seq);
void	 gap_pause(struct gap *);	/* the next gap is our own fault: do not count it */
uint64_t gap_percentile_us(const struct gap *, unsigned int percent);	/* upper bound of the bucket; 0 when empty */
uint64_t gap_bucket_ms(unsigned int bucket);				/* upper bound, for the histogram in status */

#endif
