/*
 * mta/mta_fake.h - a mail program that is a file, for tests. Not in the list that mta_find()
 * knows, so that no configuration can ask for it.
 *
 * run_dir/fake.mta tells it how to behave, by words: "hang" (start, stop and answers use up their
 * whole limit and fail), "fail" (they fail at once), "lie" (start and stop say yes and do
 * nothing), "mute" (running is UNKNOWN). run_dir/fake.pid is there while it "runs".
 */
#ifndef MTA_MTA_FAKE_H
#define MTA_MTA_FAKE_H

#include "mta/mta.h"

extern const struct mta_driver mta_fake;

#endif
