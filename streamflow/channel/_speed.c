/* The hot path in C: what moves every single item, and nothing else.
 *
 * What lives here: four small types, each the twin of a few lines of Python that do the same where this file could not
 * be compiled (streamflow/channel/storage.py chooses; the same tests hold both). What must not: a rule. Who may put,
 * when to wait, what an end means, what is counted as what: all of that is in Python and calls these.
 *
 * Ring    the storage of a channel: a first-in-first-out buffer with the methods of `collections.deque` that a queue
 *         needs. `fill` moves items in from an iterator, `take` hands them out as a list without touching their
 *         reference counts: they are moved, not copied.
 * Gate    an iterator through which the items of another one pass and are counted, as many as it is told to let; it
 *         tells whether it was asked for more. A cut, a counter and an end mark in one (in Python: islice, compress,
 *         chain). It has no end of its own: what it is over may go on, and it may be put over something else.
 * Items   the reader's async iterator. `__anext__` returns the iterator itself, which is its own awaitable and is used
 *         again for every item: when there is an item in hand, awaiting it ends at once and builds no exception
 *         (`am_send` on 3.11; on later versions a StopIteration). When the hand is empty it calls `refill`, which
 *         returns the next hand or a coroutine that waits for it. It cannot tell apart two `anext(items)` of which
 *         neither has begun: their tasks share one wait, and each gets an item.
 * Pump    the writer's loop over a stage's async generator: it drives `__anext__`, puts each item into the ring and
 *         comes back to Python only when somebody has to decide: no room is left, an item of a new type came, the
 *         generator ended.
 *
 * Items and Pump are awaitables that can be awaited again and again. What that takes is written once, as `Awaitable`:
 * it goes on with what it awaits itself, and asks its type what to do (`advance`) and what came of it (`came`).
 *
 * What keeps it right
 * -------------------
 * Any call into Python (an iterator's next, a release of the last reference) may come back in here. An Awaitable is
 * marked `running` for that time and refuses to be gone on with, closed or taken apart, as a generator does; so nothing
 * that it uses can go away under it. A Ring and a Gate may be changed by such a call: they are put in order before it,
 * and what is needed after it is read again after it.
 *
 * An item may be anything: a tuple or an exception as the value of a StopIteration must be wrapped in one, or it would
 * be taken apart (stop_with).
 *
 * Nothing here holds the interpreter's state, and all types take part in garbage collection: a ring that holds its own
 * channel is freed like any other cycle. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <structmember.h>

#if PY_VERSION_HEX < 0x030B0000
#error "streamflow needs Python 3.11 or newer"
#endif

#define METHOD(name, function, kind, doc) {name, (PyCFunction)(void (*)(void))function, kind, doc}
#define FIELD(type, field, kind, flags, doc) {#field, kind, offsetof(type, field), flags, doc}

/* What the garbage collector asks of a type, from the list of the references that it holds: FIELDS(DO) does it to each
 * of them. */
#define VISIT(field) Py_VISIT(self->field);
#define CLEAR(field) Py_CLEAR(self->field);
#define COLLECTED(type, prefix, FIELDS)                                         \
    static int prefix##_traverse(type *self, visitproc visit, void *arg)        \
    {                                                                           \
        FIELDS(VISIT)                                                           \
        return 0;                                                               \
    }                                                                           \
    static int prefix##_clear(type *self)                                       \
    {                                                                           \
        FIELDS(CLEAR)                                                           \
        return 0;                                                               \
    }                                                                           \
    static void prefix##_dealloc(type *self)                                    \
    {                                                                           \
        PyObject_GC_UnTrack(self);                                              \
        prefix##_clear(self);                                                   \
        Py_TYPE(self)->tp_free((PyObject *)self);                               \
    }

/* After a `tp_iternext` gave nothing: whether that was the end of the iterator. Else an error is set. */
static int
ended_cleanly(void)
{
    if (!PyErr_Occurred())
        return 1;
    if (!PyErr_ExceptionMatches(PyExc_StopIteration))
        return 0;
    PyErr_Clear();
    return 1;
}

/* ------------------------------------------------------------------------------------------------------------ Ring */

typedef struct {
    PyObject_HEAD
    PyObject **slots;    /* `size` of them, a power of two; NULL while nothing was ever put */
    Py_ssize_t size;
    Py_ssize_t head;     /* where the oldest item is */
    Py_ssize_t count;
    PyObject *weakrefs;
} Ring;

#define AT(ring, index) ((ring)->slots[((ring)->head + (index)) & ((ring)->size - 1)])

static int
ring_grow(Ring *ring)
{
    Py_ssize_t size = ring->size ? ring->size * 2 : 8;
    if (size > PY_SSIZE_T_MAX / 2 / (Py_ssize_t)sizeof(PyObject *)) {
        PyErr_NoMemory();
        return -1;
    }
    PyObject **slots = PyMem_New(PyObject *, size);
    if (slots == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t index = 0; index < ring->count; index++)
        slots[index] = AT(ring, index);
    PyMem_Free(ring->slots);
    ring->slots = slots;
    ring->size = size;
    ring->head = 0;
    return 0;
}

/* Put an item at the end. Steals the reference, also when it fails. */
static inline int
ring_push(Ring *ring, PyObject *item)
{
    if (ring->count == ring->size && ring_grow(ring) < 0) {
        Py_DECREF(item);
        return -1;
    }
    AT(ring, ring->count) = item;
    ring->count++;
    return 0;
}

/* Take the oldest item: a reference that the caller owns. There must be one. */
static inline PyObject *
ring_shift(Ring *ring)
{
    PyObject *item = AT(ring, 0);
    ring->head = (ring->head + 1) & (ring->size - 1);
    ring->count--;
    return item;
}

/* Drop all items. The ring is empty before the first of them is released. */
static int
ring_tp_clear(Ring *ring)
{
    PyObject **slots = ring->slots;
    Py_ssize_t size = ring->size, head = ring->head, count = ring->count;
    ring->slots = NULL;
    ring->size = ring->head = ring->count = 0;
    for (Py_ssize_t index = 0; index < count; index++)
        Py_DECREF(slots[(head + index) & (size - 1)]);
    PyMem_Free(slots);
    return 0;
}

static int
ring_traverse(Ring *ring, visitproc visit, void *arg)
{
    for (Py_ssize_t index = 0; index < ring->count; index++)
        Py_VISIT(AT(ring, index));
    return 0;
}

static void
ring_dealloc(Ring *ring)
{
    PyObject_GC_UnTrack(ring);
    if (ring->weakrefs != NULL)
        PyObject_ClearWeakRefs((PyObject *)ring);
    ring_tp_clear(ring);
    Py_TYPE(ring)->tp_free((PyObject *)ring);
}

static PyObject *
ring_append(Ring *ring, PyObject *item)
{
    if (ring_push(ring, Py_NewRef(item)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
ring_none_left(void)
{
    PyErr_SetString(PyExc_IndexError, "pop from an empty ring");
    return NULL;
}

static PyObject *
ring_popleft(Ring *ring, PyObject *Py_UNUSED(none))
{
    return ring->count ? ring_shift(ring) : ring_none_left();
}

static PyObject *
ring_pop(Ring *ring, PyObject *Py_UNUSED(none))
{
    if (!ring->count)
        return ring_none_left();
    ring->count--;
    return AT(ring, ring->count);
}

/* Move up to `limit` items from an iterator in; return how many. What came before an error of the iterator stays in. */
static Py_ssize_t
ring_fill_from(Ring *ring, PyObject *iterator, Py_ssize_t limit)
{
    iternextfunc next = Py_TYPE(iterator)->tp_iternext;
    Py_ssize_t added = 0;
    while (added < limit) {
        PyObject *item = next(iterator);
        if (item == NULL)
            return ended_cleanly() ? added : -1;
        if (ring_push(ring, item) < 0)
            return -1;
        added++;
    }
    return added;
}

static PyObject *
ring_fill(Ring *ring, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "fill() takes an iterator and a limit");
        return NULL;
    }
    if (!PyIter_Check(args[0])) {
        PyErr_Format(PyExc_TypeError, "fill() needs an iterator, not %s", Py_TYPE(args[0])->tp_name);
        return NULL;
    }
    Py_ssize_t limit = PyLong_AsSsize_t(args[1]);
    if (limit == -1 && PyErr_Occurred())
        return NULL;
    Py_ssize_t added = ring_fill_from(ring, args[0], limit);
    return added < 0 ? NULL : PyLong_FromSsize_t(added);
}

static PyObject *
ring_extend(Ring *ring, PyObject *items)
{
    PyObject *iterator = PyObject_GetIter(items);
    if (iterator == NULL)
        return NULL;
    /* Over itself it would never end. */
    Py_ssize_t added = ring_fill_from(ring, iterator, items == (PyObject *)ring ? ring->count : PY_SSIZE_T_MAX);
    Py_DECREF(iterator);
    if (added < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
ring_take(Ring *ring, PyObject *number)
{
    Py_ssize_t limit = PyLong_AsSsize_t(number);
    if (limit == -1 && PyErr_Occurred())
        return NULL;
    Py_ssize_t count = limit < 0 ? 0 : limit < ring->count ? limit : ring->count;
    PyObject *batch = PyList_New(count);
    if (batch == NULL)
        return NULL;
    /* Making the list may have run the garbage collector, and that anything: there may be fewer by now. */
    if (ring->count < count)
        Py_SET_SIZE(batch, count = ring->count);
    for (Py_ssize_t index = 0; index < count; index++)
        PyList_SET_ITEM(batch, index, ring_shift(ring));
    return batch;
}

static PyObject *
ring_clear(Ring *ring, PyObject *Py_UNUSED(none))
{
    ring_tp_clear(ring);
    Py_RETURN_NONE;
}

static Py_ssize_t
ring_length(Ring *ring)
{
    return ring->count;
}

static PyObject *
ring_item(Ring *ring, Py_ssize_t index)
{
    if (index < 0 || index >= ring->count) {
        PyErr_SetString(PyExc_IndexError, "there is no item at this place of the ring");
        return NULL;
    }
    return Py_NewRef(AT(ring, index));
}

/* Memory held, for `sys.getsizeof`. */
static PyObject *
ring_sizeof(Ring *ring, PyObject *Py_UNUSED(none))
{
    return PyLong_FromSsize_t((Py_ssize_t)sizeof(Ring) + ring->size * (Py_ssize_t)sizeof(PyObject *));
}

static PyMethodDef ring_methods[] = {
    METHOD("append", ring_append, METH_O, "Put an item at the end."),
    METHOD("clear", ring_clear, METH_NOARGS, "Drop all items."),
    METHOD("extend", ring_extend, METH_O, "Put all items of an iterable at the end."),
    METHOD("fill", ring_fill, METH_FASTCALL, "Move up to `limit` items in from an iterator; return how many."),
    METHOD("pop", ring_pop, METH_NOARGS, "Take the youngest item."),
    METHOD("popleft", ring_popleft, METH_NOARGS, "Take the oldest item."),
    METHOD("take", ring_take, METH_O, "Take up to `limit` of the oldest items, as a list."),
    METHOD("__sizeof__", ring_sizeof, METH_NOARGS, "Bytes held."),
    {NULL},
};

static PySequenceMethods ring_as_sequence = {
    .sq_length = (lenfunc)ring_length,
    .sq_item = (ssizeargfunc)ring_item,
};

static PyTypeObject RingType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "streamflow.channel._speed.Ring",
    .tp_doc = "The storage of a channel: first in, first out.",
    .tp_basicsize = sizeof(Ring),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_dealloc = (destructor)ring_dealloc,
    .tp_traverse = (traverseproc)ring_traverse,
    .tp_clear = (inquiry)ring_tp_clear,
    .tp_weaklistoffset = offsetof(Ring, weakrefs),
    .tp_as_sequence = &ring_as_sequence,
    .tp_methods = ring_methods,
};

/* ------------------------------------------------------------------------------------------------------------ Gate */

typedef struct {
    PyObject_HEAD
    PyObject *items;     /* NULL before the first `over` */
    Py_ssize_t left;     /* how many may still pass */
    Py_ssize_t count;    /* how many have passed, over all iterators it was put over */
    char dry;            /* whether it was asked for one more and gave none, since the last `over` or `let` */
    char ended;          /* whether the iterator it is over was asked for one more and had none */
} Gate;

static PyObject *
gate_over(Gate *gate, PyObject *items)
{
    if (!PyIter_Check(items)) {
        PyErr_Format(PyExc_TypeError, "over() needs an iterator, not %s", Py_TYPE(items)->tp_name);
        return NULL;
    }
    gate->left = PY_SSIZE_T_MAX;
    gate->dry = gate->ended = 0;
    Py_XSETREF(gate->items, Py_NewRef(items));
    return Py_NewRef(gate);
}

static PyObject *
gate_let(Gate *gate, PyObject *number)
{
    Py_ssize_t left = PyLong_AsSsize_t(number);
    if (left == -1 && PyErr_Occurred())
        return NULL;
    gate->left = left;
    gate->dry = 0;
    return Py_NewRef(gate);
}

static PyObject *
gate_note(Gate *gate, PyObject *Py_UNUSED(none))
{
    gate->count++;
    Py_RETURN_NONE;
}

static PyObject *
gate_next(Gate *gate)
{
    if (gate->left <= 0 || gate->items == NULL) {
        gate->dry = 1;
        return NULL;
    }
    PyObject *items = Py_NewRef(gate->items);
    PyObject *item = Py_TYPE(items)->tp_iternext(items);
    if (item != NULL) {
        gate->left--;
        gate->count++;
    }
    else if (ended_cleanly() && gate->items == items)
        gate->dry = gate->ended = 1;
    Py_DECREF(items);
    return item;
}

#define GATE_HOLDS(DO) DO(items)
COLLECTED(Gate, gate, GATE_HOLDS)

static PyMethodDef gate_methods[] = {
    METHOD("let", gate_let, METH_O, "Let so many more items pass; return the gate."),
    METHOD("note", gate_note, METH_NOARGS, "Count an item that passed elsewhere."),
    METHOD("over", gate_over, METH_O, "Stand before another iterator from now on; return the gate."),
    {NULL},
};

static PyMemberDef gate_members[] = {
    FIELD(Gate, count, T_PYSSIZET, READONLY, "How many have passed."),
    FIELD(Gate, left, T_PYSSIZET, READONLY, "How many may still pass."),
    FIELD(Gate, dry, T_BOOL, READONLY, "Whether it was asked for an item and gave none, since `over` or `let`."),
    FIELD(Gate, ended, T_BOOL, READONLY, "Whether the iterator it is over has ended."),
    {NULL},
};

static PyTypeObject GateType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "streamflow.channel._speed.Gate",
    .tp_doc = "An iterator through which the items of another one pass, and are counted.",
    .tp_basicsize = sizeof(Gate),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_dealloc = (destructor)gate_dealloc,
    .tp_traverse = (traverseproc)gate_traverse,
    .tp_clear = (inquiry)gate_clear,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)gate_next,
    .tp_methods = gate_methods,
    .tp_members = gate_members,
};

/* ------------------------------------------------------------------------------------------------------- Awaitable */

typedef struct Awaitable Awaitable;

/* Called where nothing is awaited. NEXT: now something is; RETURN: awaiting this ends with `*out`; or ERROR. */
typedef PySendResult (*advance_function)(Awaitable *, PyObject **out);

/* Called with what came, which it steals, or with NULL for the error that is set. NEXT: advance. */
typedef PySendResult (*came_function)(Awaitable *, PyObject *came, PyObject **out);

struct Awaitable {
    PyObject_HEAD
    PyObject *awaited;   /* what it waits for: a coroutine, an `__anext__`; NULL while it waits for nothing */
    advance_function advance;
    came_function came;
    char running;
    char fresh;          /* somebody has just gone on with it; for its type to clear */
};

/* Raise StopIteration with a value, as the end of an awaitable does. */
static void
stop_with(PyObject *value)
{
    if (!PyTuple_Check(value) && !PyExceptionInstance_Check(value)) {
        PyErr_SetObject(PyExc_StopIteration, value);
        return;
    }
    PyObject *wrapped = PyObject_CallOneArg(PyExc_StopIteration, value);
    if (wrapped != NULL) {
        PyErr_SetObject(PyExc_StopIteration, wrapped);
        Py_DECREF(wrapped);
    }
}

/* Take the value out of the StopIteration that is set, if one is: 1 with a value, 0 for another error. */
static int
stopped_with(PyObject **value)
{
    PyObject *type, *error, *traceback;
    if (!PyErr_ExceptionMatches(PyExc_StopIteration))
        return 0;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    *value = PyObject_GetAttrString(error, "value");
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    return *value != NULL;
}

/* What is awaited is thrown into: the rest of a send, with its result. */
static PySendResult
throw_into(PyObject *awaited, PyObject *thrown, PyObject **value)
{
    PyObject *throw = PyObject_GetAttrString(awaited, "throw");
    if (throw == NULL)
        return PYGEN_ERROR;
    *value = PyObject_CallObject(throw, thrown);
    Py_DECREF(throw);
    if (*value != NULL)
        return PYGEN_NEXT;
    return stopped_with(value) ? PYGEN_RETURN : PYGEN_ERROR;
}

/* `throw(error)`, `throw(type, value)` or `throw(type, value, traceback)` where nothing is awaited: raise it. */
static PySendResult
raise_thrown(PyObject *thrown)
{
    PyObject *type, *value = Py_None, *traceback = Py_None;
    if (!PyArg_UnpackTuple(thrown, "throw", 1, 3, &type, &value, &traceback))
        return PYGEN_ERROR;
    if (traceback != Py_None && !PyTraceBack_Check(traceback)) {
        PyErr_SetString(PyExc_TypeError, "throw() third argument must be a traceback object");
        return PYGEN_ERROR;
    }
    if (PyExceptionInstance_Check(type) && value == Py_None) {
        value = type;
        type = (PyObject *)Py_TYPE(value);
    }
    else if (!PyExceptionClass_Check(type)) {
        PyErr_Format(PyExc_TypeError, "throw() needs an exception, or its class and a value, not %s",
                     Py_TYPE(type)->tp_name);
        return PYGEN_ERROR;
    }
    PyErr_SetObject(type, value == Py_None ? NULL : value);
    if (traceback != Py_None) {
        PyObject *own;
        PyErr_Fetch(&type, &value, &own);
        Py_XDECREF(own);
        PyErr_Restore(type, value, Py_NewRef(traceback));
    }
    return PYGEN_ERROR;
}

/* Whether it may be used now: what runs within it may not, nor a second task while one waits in it. */
static int
check_idle(Awaitable *self, int waiting_too)
{
    if (!self->running && !(waiting_too && self->awaited != NULL))
        return 1;
    PyErr_SetString(PyExc_RuntimeError, "this asynchronous iterator is already running: somebody else waits in it");
    return 0;
}

/* Go on, with a value or with the arguments of a `throw`, until a future is to be passed up or awaiting this ends. */
static inline PySendResult
go_on(Awaitable *self, PyObject *value, PyObject *thrown, PyObject **out)
{
    PySendResult result;
    *out = NULL;
    if (!check_idle(self, 0))
        return PYGEN_ERROR;
    if (thrown != NULL && self->awaited == NULL)
        return raise_thrown(thrown);
    self->running = self->fresh = 1;
    do {
        if (self->awaited == NULL) {
            result = self->advance(self, out);
            if (result != PYGEN_NEXT)
                break;
            value = Py_None;
        }
        PyObject *came = NULL;
        result = thrown ? throw_into(self->awaited, thrown, &came) : PyIter_Send(self->awaited, value, &came);
        thrown = NULL;
        if (result == PYGEN_NEXT) {
            *out = came;
            break;
        }
        Py_CLEAR(self->awaited);
        result = self->came(self, came, out);
    } while (result == PYGEN_NEXT);
    self->running = 0;
    return result;
}

static PySendResult
awaitable_send(Awaitable *self, PyObject *value, PyObject **out)
{
    return go_on(self, value, NULL, out);
}

/* The same as `tp_iternext` and the methods return it: the end is a StopIteration. */
static PyObject *
as_next(PySendResult result, PyObject *value)
{
    if (result != PYGEN_RETURN)
        return value;
    stop_with(value);
    Py_DECREF(value);
    return NULL;
}

static PyObject *
awaitable_next(Awaitable *self)
{
    PyObject *out;
    PySendResult result = go_on(self, Py_None, NULL, &out);
    return as_next(result, out);
}

static PyObject *
awaitable_send_method(Awaitable *self, PyObject *value)
{
    PyObject *out;
    PySendResult result = go_on(self, value, NULL, &out);
    return as_next(result, out);
}

static PyObject *
awaitable_throw(Awaitable *self, PyObject *thrown)
{
    PyObject *out;
    PySendResult result = go_on(self, Py_None, thrown, &out);
    return as_next(result, out);
}

/* Give up what is awaited, as whoever awaits this is being closed. */
static PyObject *
awaitable_close(Awaitable *self, PyObject *Py_UNUSED(none))
{
    if (!check_idle(self, 0))
        return NULL;
    PyObject *awaited = self->awaited;
    if (awaited == NULL)
        Py_RETURN_NONE;
    self->running = 1;
    self->awaited = NULL;
    PyObject *nothing = PyObject_CallMethod(awaited, "close", NULL);
    Py_DECREF(awaited);
    self->running = 0;
    return nothing;
}

/* `await` and `async for` begin here. */
static PyObject *
awaitable_await(Awaitable *self)
{
    return check_idle(self, 1) ? Py_NewRef(self) : NULL;
}

#define AWAITABLE_METHODS                                                                           \
    METHOD("close", awaitable_close, METH_NOARGS, "Give up what is awaited."),                      \
    METHOD("send", awaitable_send_method, METH_O, "Go on."),                                        \
    METHOD("throw", awaitable_throw, METH_VARARGS, "Raise an exception in what is awaited.")

static PyMemberDef awaitable_members[] = {
    {"cr_await", T_OBJECT, offsetof(Awaitable, awaited), READONLY, "What it waits for, for those who look at stacks."},
    {NULL},
};

/* ----------------------------------------------------------------------------------------------------------- Items */

typedef struct {
    Awaitable as;
    PyObject *refill;    /* () -> an iterator: the next hand; or a coroutine that returns one, `None` at the end */
    PyObject *halfway;   /* () -> None: called once for each hand, before its item number `half` + 1 */
    PyObject *hand;      /* the iterator in hand */
    Py_ssize_t half;
    Py_ssize_t until;    /* items until `halfway` is called */
    char finished;
} Items;

#define ITEMS_HOLDS(DO) DO(as.awaited) DO(refill) DO(halfway) DO(hand)
COLLECTED(Items, items, ITEMS_HOLDS)

/* Take an iterator as the hand; steals it. */
static PySendResult
items_grasp(Items *self, PyObject *hand)
{
    if (!PyIter_Check(hand)) {
        PyErr_Format(PyExc_TypeError, "a hand must be an iterator, not %s", Py_TYPE(hand)->tp_name);
        Py_DECREF(hand);
        return PYGEN_ERROR;
    }
    self->until = self->half;
    Py_XSETREF(self->hand, hand);
    return PYGEN_NEXT;
}

/* Give the next item of the hand; NEXT where it is empty. */
static PySendResult
items_from_hand(Items *self, PyObject **out)
{
    if (self->until == 0) {
        self->until = -1;
        PyObject *nothing = PyObject_CallNoArgs(self->halfway);
        if (nothing == NULL)
            return PYGEN_ERROR;
        Py_DECREF(nothing);
    }
    *out = Py_TYPE(self->hand)->tp_iternext(self->hand);
    if (*out != NULL) {
        self->until--;
        return PYGEN_RETURN;
    }
    int ended = ended_cleanly();
    Py_CLEAR(self->hand);
    return ended ? PYGEN_NEXT : PYGEN_ERROR;
}

/* Give the next item, of the next hand where this one is empty; or have the wait for it awaited. */
static PySendResult
items_advance(Items *self, PyObject **out)
{
    while (!self->finished && self->refill != NULL) {
        if (self->hand != NULL) {
            PySendResult result = items_from_hand(self, out);
            if (result != PYGEN_NEXT)
                return result;
        }
        PyObject *next = PyObject_CallNoArgs(self->refill);
        if (next == NULL)
            return PYGEN_ERROR;
        if (PyCoro_CheckExact(next)) {
            self->as.awaited = next;
            return PYGEN_NEXT;
        }
        if (items_grasp(self, next) == PYGEN_ERROR)
            return PYGEN_ERROR;
    }
    PyErr_SetNone(PyExc_StopAsyncIteration);
    return PYGEN_ERROR;
}

/* The wait is over: there is a hand, or `None` for the end. */
static PySendResult
items_came(Items *self, PyObject *hand, PyObject **Py_UNUSED(out))
{
    if (hand == NULL)
        return PYGEN_ERROR;
    if (hand != Py_None)
        return items_grasp(self, hand);
    Py_DECREF(hand);
    PyErr_SetNone(PyExc_StopAsyncIteration);
    return PYGEN_ERROR;
}

/* From now on there are no items any more. */
static PyObject *
items_finish(Items *self, PyObject *Py_UNUSED(none))
{
    if (!check_idle(&self->as, 1))
        return NULL;
    self->finished = 1;
    Py_CLEAR(self->hand);
    Py_RETURN_NONE;
}

static PyObject *
items_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    PyObject *refill, *halfway;
    Py_ssize_t half;
    if (!PyArg_ParseTuple(args, "OOn", &refill, &halfway, &half))
        return NULL;
    Items *self = (Items *)type->tp_alloc(type, 0);
    if (self != NULL) {
        /* A class in Python inherits every slot but this one, and would build a StopIteration for each item. */
        type->tp_as_async->am_send = (sendfunc)awaitable_send;
        self->as.advance = (advance_function)items_advance;
        self->as.came = (came_function)items_came;
        self->refill = Py_NewRef(refill);
        self->halfway = Py_NewRef(halfway);
        self->half = half;
    }
    return (PyObject *)self;
}

static PyMethodDef items_methods[] = {
    AWAITABLE_METHODS,
    METHOD("finish", items_finish, METH_NOARGS, "End it: there are no items any more."),
    {NULL},
};

static PyAsyncMethods items_as_async = {
    .am_await = (unaryfunc)awaitable_await,
    .am_aiter = PyObject_SelfIter,
    .am_anext = (unaryfunc)awaitable_await,
    .am_send = (sendfunc)awaitable_send,
};

static PyTypeObject ItemsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "streamflow.channel._speed.Items",
    .tp_doc = "The reader's async iterator: items in hand without a wait, else `refill`.",
    .tp_basicsize = sizeof(Items),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .tp_new = items_new,
    .tp_dealloc = (destructor)items_dealloc,
    .tp_traverse = (traverseproc)items_traverse,
    .tp_clear = (inquiry)items_clear,
    .tp_as_async = &items_as_async,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)awaitable_next,
    .tp_methods = items_methods,
    .tp_members = awaitable_members,
};

/* ------------------------------------------------------------------------------------------------------------ Pump */

typedef struct {
    Awaitable as;        /* it awaits the item that is being made; it is fresh until the readers know of new items */
    PyObject *items;     /* the async generator */
    Ring *ring;
    PyObject *getters;   /* the deque of readers that wait */
    PyObject *wake;      /* () -> None: let the first of them go on */
    PyObject *known;     /* the set of types whose items need no decision */
    PyObject *type;      /* the type of the last item, when it is one of these */
    PyObject *item;      /* an item that waits for a decision; put when the pump goes on */
    Py_ssize_t left;     /* room that was granted and is not used */
} Pump;

#define PUMP_HOLDS(DO) \
    DO(as.awaited) DO(items) DO(ring) DO(getters) DO(wake) DO(known) DO(type) DO(item)
COLLECTED(Pump, pump, PUMP_HOLDS)

/* Let the first reader that waits go on. It does when this task rests: until then, once is enough. */
static int
pump_wake(Pump *self)
{
    Py_ssize_t waiting = PyObject_Size(self->getters);
    if (waiting <= 0)
        return (int)waiting;
    self->as.fresh = 0;
    PyObject *nothing = PyObject_CallNoArgs(self->wake);
    Py_XDECREF(nothing);
    return nothing == NULL ? -1 : 0;
}

/* Put the item that is held, for which there is room. */
static int
pump_put(Pump *self)
{
    PyObject *item = self->item;
    self->item = NULL;
    self->left--;
    if (ring_push(self->ring, item) < 0)
        return -1;
    return self->as.fresh ? pump_wake(self) : 0;
}

/* Whether the item that is held can be put without a decision: 1 yes, 0 no, -1 error. */
static inline int
pump_may_put(Pump *self)
{
    PyObject *type = (PyObject *)Py_TYPE(self->item);
    if (type != self->type) {
        Py_INCREF(type);  /* its metaclass may be asked for a hash, and that do anything */
        int known = PySet_Contains(self->known, type);
        if (known <= 0) {
            Py_DECREF(type);
            return known;
        }
        Py_XSETREF(self->type, type);
    }
    return self->left > 0;
}

/* Put the item that is held and have the next one made; or return True with an item held for a decision. */
static PySendResult
pump_advance(Pump *self, PyObject **out)
{
    if (self->items == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the pump was taken apart");
        return PYGEN_ERROR;
    }
    if (self->item != NULL) {
        int may = pump_may_put(self);
        if (may == 0) {
            *out = Py_NewRef(Py_True);
            return PYGEN_RETURN;
        }
        if (may < 0 || pump_put(self) < 0)
            return PYGEN_ERROR;
    }
    self->as.awaited = Py_TYPE(self->items)->tp_as_async->am_anext(self->items);
    return self->as.awaited == NULL ? PYGEN_ERROR : PYGEN_NEXT;
}

/* The item was made; or the generator has ended, then return False. */
static PySendResult
pump_came(Pump *self, PyObject *item, PyObject **out)
{
    if (item != NULL) {
        self->item = item;
        return PYGEN_NEXT;
    }
    if (!PyErr_ExceptionMatches(PyExc_StopAsyncIteration))
        return PYGEN_ERROR;
    PyErr_Clear();
    *out = Py_NewRef(Py_False);
    return PYGEN_RETURN;
}

/* Take the item that is held out of the pump's hand. */
static PyObject *
pump_give(Pump *self, PyObject *Py_UNUSED(none))
{
    if (!check_idle(&self->as, 1))
        return NULL;
    PyObject *item = self->item;
    if (item == NULL)
        PyErr_SetString(PyExc_RuntimeError, "the pump holds no item");
    self->item = NULL;
    return item;
}

static PyObject *
pump_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    PyObject *items, *ring, *getters, *wake, *known;
    if (!PyArg_ParseTuple(args, "OO!OOO!", &items, &RingType, &ring, &getters, &wake, &PySet_Type, &known))
        return NULL;
    if (!PyAsyncGen_CheckExact(items)) {
        PyErr_Format(PyExc_TypeError, "Pump() needs an async generator, not %s", Py_TYPE(items)->tp_name);
        return NULL;
    }
    Pump *self = (Pump *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->as.advance = (advance_function)pump_advance;
        self->as.came = (came_function)pump_came;
        self->items = Py_NewRef(items);
        self->ring = (Ring *)Py_NewRef(ring);
        self->getters = Py_NewRef(getters);
        self->wake = Py_NewRef(wake);
        self->known = Py_NewRef(known);
    }
    return (PyObject *)self;
}

static PyMethodDef pump_methods[] = {
    AWAITABLE_METHODS,
    METHOD("give", pump_give, METH_NOARGS, "Take the item that is held."),
    {NULL},
};

static PyMemberDef pump_members[] = {
    FIELD(Pump, left, T_PYSSIZET, 0, "Room that was granted and is not used."),
    FIELD(Pump, item, T_OBJECT, READONLY, "The item that waits for a decision."),
    {NULL},
};

static PyAsyncMethods pump_as_async = {
    .am_await = (unaryfunc)awaitable_await,
    .am_send = (sendfunc)awaitable_send,
};

static PyTypeObject PumpType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "streamflow.channel._speed.Pump",
    .tp_doc = "Puts the items of an async generator; awaiting it goes on until somebody has to decide.",
    .tp_basicsize = sizeof(Pump),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = pump_new,
    .tp_dealloc = (destructor)pump_dealloc,
    .tp_traverse = (traverseproc)pump_traverse,
    .tp_clear = (inquiry)pump_clear,
    .tp_as_async = &pump_as_async,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)awaitable_next,
    .tp_methods = pump_methods,
    .tp_members = pump_members,
};

/* ---------------------------------------------------------------------------------------------------------- module */

static int
speed_exec(PyObject *module)
{
    PyTypeObject *types[] = {&RingType, &GateType, &ItemsType, &PumpType};
    for (size_t at = 0; at < sizeof(types) / sizeof(types[0]); at++)
        if (PyModule_AddType(module, types[at]) < 0)
            return -1;
    return 0;
}

static PyModuleDef_Slot speed_slots[] = {
    {Py_mod_exec, speed_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static PyModuleDef speed_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "streamflow.channel._speed",
    .m_doc = "The hot path in C; streamflow.channel.storage says what does the same in Python.",
    .m_slots = speed_slots,
};

PyMODINIT_FUNC
PyInit__speed(void)
{
    return PyModuleDef_Init(&speed_module);
}
