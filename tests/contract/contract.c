/* SPDX-License-Identifier: ISC */
/*
 * The helpers of the contract's cases.
 */
#include "tests/contract/contract.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

void contract_open(struct contract *contract)
{
	contract->store =
		contract->backend->open(contract->backend, &contract->setup, contract->now);
	cr_assert(contract->store, "%s: does not open", contract->backend->name);
}

void contract_close(struct contract *contract)
{
	contract->store->ops->close(contract->store);
	contract->store = NULL;
}

void contract_reopen(struct contract *contract, struct contract_setup setup)
{
	contract_close(contract);
	contract->setup = setup;
	contract_open(contract);
}

void contract_run(struct contract_backend *backend, void (*test)(struct contract *))
{
	struct contract contract = {
		.backend = backend,
		.setup = {.max_counters = 10000, .max_transactions = 10000},
		.now = {100 * HOUR_MS, CONTRACT_BEGINS_WALL_MS},
	};

	backend->begin(backend);
	contract_open(&contract);
	test(&contract);
	contract_close(&contract);
	backend->end(backend);
}

void contract_pass(struct contract *contract, uint64_t ms)
{
	contract->now.mono_ms += ms;
	contract->now.wall_ms += ms;
	contract->store->ops->tick(contract->store, contract->now);
}

void contract_sync(struct contract *contract)
{
	contract->backend->sync(contract->backend, contract->store, contract->now);
}

void contract_in_killed_child(struct contract *contract, void (*work)(struct contract *))
{
	int status;
	pid_t child;

	contract_close(contract);
	child = fork();
	cr_assert(child >= 0);
	if (child == 0) {
		contract->store =
			contract->backend->open(contract->backend, &contract->setup, contract->now);
		if (!contract->store)
			_exit(1);
		work(contract);
		kill(getpid(), SIGKILL);
		_exit(2);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		"%s: the child ended with %#x", contract->backend->name, (unsigned)status);
	contract_open(contract);
}

struct hash128 contract_id(uint64_t number)
{
	return number ? (struct hash128){number * UINT64_C(0x9e3779b97f4a7c15), number}
		      : (struct hash128){0, 0};
}

struct store_charge contract_gate(const char *rule, const char *subject, uint64_t limit)
{
	return (struct store_charge){
		.key = {slice_of(rule), slice_of(subject), COUNT_RECIPIENTS, HOUR_MS},
		.limit = limit,
		.cost = 1,
		.gate = true};
}

struct asker {
	struct waiter waiter;
	bool woken;
};

static void wake(struct waiter *waiter)
{
	((struct asker *)(void *)waiter)->woken = true;
}

static void wait_for(struct contract *contract, struct store_op *op, const struct asker *asker)
{
	bool was_pending = op->state == STORE_OP_PENDING;

	cr_assert(!asker->woken, "woken from inside the call");
	while (op->state == STORE_OP_PENDING)
		cr_assert(contract->backend->pump(contract->backend), "%s: an op never ends",
			contract->backend->name);
	cr_assert_eq(op->state, STORE_OP_DONE);
	cr_assert_eq(asker->woken, was_pending);
	cr_assert_eq(asker->waiter.expected, 0);
	cr_assert_not(op->failed);
}

int contract_reserve_all(struct contract *contract, uint64_t transaction, uint64_t recipient,
	unsigned asked, struct store_charge *charges, unsigned count)
{
	struct asker asker = {.waiter.wake = wake};
	struct store_reserve op = {.op.waiter = &asker.waiter,
		.transaction = contract_id(transaction),
		.service = CONTRACT_SERVICE,
		.recipient = recipient,
		.asked = asked,
		.dry = contract->dry,
		.charges = charges,
		.count = count};

	store_reserve(contract->store, &op, contract->now);
	wait_for(contract, &op.op, &asker);
	return op.refused;
}

bool contract_reserve(struct contract *contract, uint64_t transaction, uint64_t recipient,
	unsigned asked, struct store_charge charge)
{
	return contract_reserve_all(contract, transaction, recipient, asked, &charge, 1) < 0;
}

struct store_settle contract_settle(struct contract *contract, uint64_t transaction,
	uint64_t recipients, uint64_t size_bytes, bool end_of_message)
{
	struct asker asker = {.waiter.wake = wake};
	struct store_settle op = {.op.waiter = &asker.waiter,
		.transaction = contract_id(transaction),
		.service = CONTRACT_SERVICE,
		.recipient_count = recipients,
		.size_bytes = size_bytes,
		.end_of_message = end_of_message,
		.dry = contract->dry};

	store_settle(contract->store, &op, contract->now);
	wait_for(contract, &op.op, &asker);
	op.op.waiter = NULL;
	if (op.refused) {
		cr_assert(slice_is(op.refused_key.rule, op.refused_rule));
		cr_assert(slice_is(op.refused_key.subject, op.refused_subject));
	}
	/* They point into the op, which the caller gets a copy of. */
	op.refused_key.rule = op.refused_key.subject = SLICE_EMPTY;
	return op;
}

struct store_usage contract_usage(struct contract *contract, struct store_charge charge)
{
	struct asker asker = {.waiter.wake = wake};
	struct store_usage op = {
		.op.waiter = &asker.waiter, .key = charge.key, .limit = charge.limit};

	store_usage(contract->store, &op, contract->now);
	wait_for(contract, &op.op, &asker);
	op.op.waiter = NULL;
	return op;
}

uint64_t contract_used(struct contract *contract, struct store_charge charge)
{
	return contract_usage(contract, charge).used;
}
