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
 *         tells whether it was asked for more. A cut, a counter and an end mark in one (Python: islice, compress, chain).
 * Items   the reader's async iterator. `__anext__` returns the iterator itself, which is its own awaitable and is used
 *         again for every item: when there is an item in hand, awaiting it ends at once and builds no exception
 *         (`am_send` on 3.11; on later versions a StopIteration). When the hand is empty it calls `refill`, which
 *         returns the next hand or a coroutine that waits for it.
 * Pump    the writer's loop over a stage's async generator: it drives `__anext__`, puts each item into the ring and
 *         comes back to Python only when somebody has to decide: no room is left, an item of a new type came, the
 *         generator ended.
 *
 * What keeps it right
 * -------------------
 * Any call into Python (an iterator's next, a release of the last reference) may come back in here and change the very
 * object it is called from. So: an object is put in order before such a call, and what is needed after it is read again
 * after it. Where a call may drop the last reference to what is being used, a reference is held over it.
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

/* Turn the result of a send into what `tp_iternext` and the method `send` return. Steals `value`. */
static PyObject *
as_next(PySendResult result, PyObject *value)
{
    if (result == PYGEN_NEXT)
        return value;
    if (result == PYGEN_RETURN) {
        stop_with(value);
        Py_DECREF(value);
    }
    return NULL;
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
    *value = error == NULL ? NULL : PyObject_GetAttrString(error, "value");
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    return *value != NULL;
}

/* Forward `throw` to the awaitable that is waited for: the rest of a send, with its result. */
static PySendResult
throw_into(PyObject *awaitable, PyObject *args, PyObject **value)
{
    PyObject *throw = PyObject_GetAttrString(awaitable, "throw");
    if (throw == NULL)
        return PYGEN_ERROR;
    *value = PyObject_CallObject(throw, args);
    Py_DECREF(throw);
    if (*value != NULL)
        return PYGEN_NEXT;
    return stopped_with(value) ? PYGEN_RETURN : PYGEN_ERROR;
}

/* `throw(type)`, `throw(type, value)` or `throw(type, value, traceback)` where nothing is waited for: raise it. */
static void
raise_thrown(PyObject *args)
{
    PyObject *type = NULL, *value = NULL, *traceback = NULL;
    if (!PyArg_UnpackTuple(args, "throw", 1, 3, &type, &value, &traceback))
        return;
    if (PyExceptionInstance_Check(type)) {
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
        return;
    }
    PyErr_SetObject(type, value == Py_None ? NULL : value);
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
ring_popleft(Ring *ring, PyObject *Py_UNUSED(none))
{
    if (!ring->count) {
        PyErr_SetString(PyExc_IndexError, "pop from an empty ring");
        return NULL;
    }
    return ring_shift(ring);
}

static PyObject *
ring_pop(Ring *ring, PyObject *Py_UNUSED(none))
{
    if (!ring->count) {
        PyErr_SetString(PyExc_IndexError, "pop from an empty ring");
        return NULL;
    }
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
        if (item == NULL) {
            if (!PyErr_Occurred())
                break;
            if (!PyErr_ExceptionMatches(PyExc_StopIteration))
                return -1;
            PyErr_Clear();
            break;
        }
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
    Py_ssize_t added = ring_fill_from(ring, iterator, PY_SSIZE_T_MAX);
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
    /* Making the list may have run the garbage collector, and that anything: look again. */
    if (ring->count < count) {
        Py_DECREF(batch);
        PyErr_SetString(PyExc_RuntimeError, "the ring was changed while it was being taken from");
        return NULL;
    }
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
    {"append", (PyCFunction)ring_append, METH_O, "Put an item at the end."},
    {"clear", (PyCFunction)ring_clear, METH_NOARGS, "Drop all items."},
    {"extend", (PyCFunction)ring_extend, METH_O, "Put all items of an iterable at the end."},
    {"fill", (PyCFunction)(void (*)(void))ring_fill, METH_FASTCALL,
     "Move up to `limit` items in from an iterator; return how many."},
    {"pop", (PyCFunction)ring_pop, METH_NOARGS, "Take the youngest item."},
    {"popleft", (PyCFunction)ring_popleft, METH_NOARGS, "Take the oldest item."},
    {"take", (PyCFunction)ring_take, METH_O, "Take up to `limit` of the oldest items, as a list."},
    {"__sizeof__", (PyCFunction)ring_sizeof, METH_NOARGS, "Bytes held."},
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
    else if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_StopIteration)) {
        PyErr_Clear();
        gate->dry = gate->ended = 1;
    }
    Py_DECREF(items);
    return item;
}

static int
gate_traverse(Gate *gate, visitproc visit, void *arg)
{
    Py_VISIT(gate->items);
    return 0;
}

static int
gate_clear(Gate *gate)
{
    Py_CLEAR(gate->items);
    return 0;
}

static void
gate_dealloc(Gate *gate)
{
    PyObject_GC_UnTrack(gate);
    gate_clear(gate);
    Py_TYPE(gate)->tp_free((PyObject *)gate);
}

static PyMethodDef gate_methods[] = {
    {"let", (PyCFunction)gate_let, METH_O, "Let so many more items pass; return the gate."},
    {"note", (PyCFunction)gate_note, METH_NOARGS, "Count an item that passed elsewhere."},
    {"over", (PyCFunction)gate_over, METH_O, "Stand before another iterator from now on; return the gate."},
    {NULL},
};

#define FIELD(type, field, kind, flags, doc) {#field, kind, offsetof(type, field), flags, doc}

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

/* ----------------------------------------------------------------------------------------------------------- Items */

typedef struct {
    PyObject_HEAD
    PyObject *refill;    /* () -> an iterator: the next hand; or a coroutine that returns one, `None` at the end */
    PyObject *halfway;   /* () -> None: called once for each hand, before its item number `half` + 1 */
    PyObject *hand;      /* the iterator in hand */
    PyObject *waiting;   /* the coroutine that waits for the next one */
    Py_ssize_t half;
    Py_ssize_t until;    /* items until `halfway` is called */
    char closed;
} Items;

static PyObject *
items_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    PyObject *refill, *halfway;
    Py_ssize_t half;
    if (!PyArg_ParseTuple(args, "OOn", &refill, &halfway, &half))
        return NULL;
    Items *self = (Items *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->refill = Py_NewRef(refill);
        self->halfway = Py_NewRef(halfway);
        self->half = half;
    }
    return (PyObject *)self;
}

/* Ask for the next hand: into `hand`, or into `waiting` what must be awaited for it. */
static int
items_refill(Items *self)
{
    if (self->refill == NULL || self->closed) {
        PyErr_SetNone(PyExc_StopAsyncIteration);
        return -1;
    }
    PyObject *next = PyObject_CallNoArgs(self->refill);
    if (next == NULL)
        return -1;
    self->until = self->half;
    if (PyCoro_CheckExact(next)) {
        Py_XSETREF(self->waiting, next);
        return 0;
    }
    if (!PyIter_Check(next)) {
        PyErr_Format(PyExc_TypeError, "refill() must return an iterator or a coroutine, not %s", Py_TYPE(next)->tp_name);
        Py_DECREF(next);
        return -1;
    }
    Py_XSETREF(self->hand, next);
    return 0;
}

/* Take what the wait gave as the hand. Steals `hand`. */
static int
items_waited(Items *self, PyObject *hand)
{
    Py_CLEAR(self->waiting);
    if (hand != Py_None && PyIter_Check(hand)) {
        Py_XSETREF(self->hand, hand);
        return 0;
    }
    if (hand == Py_None)
        PyErr_SetNone(PyExc_StopAsyncIteration);
    else
        PyErr_SetString(PyExc_TypeError, "the wait for a hand must return an iterator or None");
    Py_DECREF(hand);
    return -1;
}

/* The next item of the hand; NULL without an error where the hand is empty. */
static PyObject *
items_from_hand(Items *self)
{
    if (self->until == 0) {
        self->until = -1;
        PyObject *nothing = PyObject_CallNoArgs(self->halfway);
        if (nothing == NULL)
            return NULL;
        Py_DECREF(nothing);
    }
    PyObject *hand = self->hand;
    if (hand == NULL)
        return NULL;
    Py_INCREF(hand);
    PyObject *item = Py_TYPE(hand)->tp_iternext(hand);
    if (item != NULL) {
        self->until--;
        Py_DECREF(hand);
        return item;
    }
    if (PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_StopIteration))
        PyErr_Clear();
    if (self->hand == hand)
        Py_CLEAR(self->hand);
    Py_DECREF(hand);
    return NULL;
}

/* Go on with the wait: its result is taken in, its futures are passed up. */
static PySendResult
items_wait_on(Items *self, PySendResult result, PyObject *value, PyObject **out)
{
    if (result == PYGEN_NEXT) {
        *out = value;
        return PYGEN_NEXT;
    }
    if (result == PYGEN_ERROR)
        Py_CLEAR(self->waiting);
    else if (items_waited(self, value) == 0)
        return PYGEN_RETURN;
    return PYGEN_ERROR;
}

static PySendResult
items_send(Items *self, PyObject *arg, PyObject **out)
{
    *out = NULL;
    if (self->closed) {
        PyErr_SetNone(PyExc_StopAsyncIteration);
        return PYGEN_ERROR;
    }
    for (;;) {
        if (self->waiting == NULL) {
            PyObject *item = items_from_hand(self);
            if (item != NULL) {
                *out = item;
                return PYGEN_RETURN;
            }
            if (PyErr_Occurred() || items_refill(self) < 0)
                return PYGEN_ERROR;
            arg = Py_None;
            continue;
        }
        PyObject *value = NULL, *waiting = Py_NewRef(self->waiting);
        PySendResult result = PyIter_Send(waiting, arg, &value);
        result = items_wait_on(self, result, value, out);
        Py_DECREF(waiting);
        if (result != PYGEN_RETURN)
            return result;
    }
}

static PyObject *
items_next(Items *self)
{
    PyObject *value;
    PySendResult result = items_send(self, Py_None, &value);
    return as_next(result, value);
}

static PyObject *
items_send_method(Items *self, PyObject *arg)
{
    PyObject *value;
    PySendResult result = items_send(self, arg, &value);
    return as_next(result, value);
}

static PyObject *
items_throw(Items *self, PyObject *args)
{
    if (self->waiting == NULL) {
        raise_thrown(args);
        return NULL;
    }
    PyObject *value = NULL, *out = NULL, *waiting = Py_NewRef(self->waiting);
    PySendResult result = throw_into(waiting, args, &value);
    result = items_wait_on(self, result, value, &out);
    Py_DECREF(waiting);
    if (result == PYGEN_RETURN)  /* the wait has a hand in spite of it: go on with its first item */
        return items_next(self);
    return out;
}

/* Give the wait up, as the coroutine that awaits it is being closed. */
static PyObject *
items_close(Items *self, PyObject *Py_UNUSED(none))
{
    PyObject *waiting = self->waiting;
    if (waiting == NULL)
        Py_RETURN_NONE;
    self->waiting = NULL;
    PyObject *nothing = PyObject_CallMethod(waiting, "close", NULL);
    Py_DECREF(waiting);
    return nothing;
}

/* From now on there are no items any more. */
static PyObject *
items_finish(Items *self, PyObject *none)
{
    self->closed = 1;
    Py_CLEAR(self->hand);
    return items_close(self, none);
}

static int
items_traverse(Items *self, visitproc visit, void *arg)
{
    Py_VISIT(self->refill);
    Py_VISIT(self->halfway);
    Py_VISIT(self->hand);
    Py_VISIT(self->waiting);
    return 0;
}

static int
items_clear(Items *self)
{
    Py_CLEAR(self->refill);
    Py_CLEAR(self->halfway);
    Py_CLEAR(self->hand);
    Py_CLEAR(self->waiting);
    return 0;
}

static void
items_dealloc(Items *self)
{
    PyObject_GC_UnTrack(self);
    items_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef items_methods[] = {
    {"close", (PyCFunction)items_close, METH_NOARGS, "Give a wait up."},
    {"finish", (PyCFunction)items_finish, METH_NOARGS, "End it: there are no items any more."},
    {"send", (PyCFunction)items_send_method, METH_O, "Go on with the wait."},
    {"throw", (PyCFunction)items_throw, METH_VARARGS, "Raise an exception in the wait."},
    {NULL},
};

static PyMemberDef items_members[] = {
    {"cr_await", T_OBJECT, offsetof(Items, waiting), READONLY, "What it waits for, for those who look at stacks."},
    {NULL},
};

static PyAsyncMethods items_as_async = {
    .am_await = PyObject_SelfIter,
    .am_aiter = PyObject_SelfIter,
    .am_anext = PyObject_SelfIter,
    .am_send = (sendfunc)items_send,
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
    .tp_iternext = (iternextfunc)items_next,
    .tp_methods = items_methods,
    .tp_members = items_members,
};

/* ------------------------------------------------------------------------------------------------------------ Pump */

typedef struct {
    PyObject_HEAD
    PyObject *items;     /* the async generator */
    Ring *ring;
    PyObject *getters;   /* the deque of readers that wait */
    PyObject *wake;      /* () -> None: let the first of them go on */
    PyObject *known;     /* the set of types whose items need no decision */
    PyObject *type;      /* the type of the last item, when it is one of these */
    PyObject *current;   /* the awaitable of the item that is being made */
    PyObject *item;      /* an item that waits for a decision; put when the pump goes on */
    Py_ssize_t left;     /* room that was granted and is not used */
    char woken;          /* whether the readers know that there are items, since the pump went on */
} Pump;

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
        self->items = Py_NewRef(items);
        self->ring = (Ring *)Py_NewRef(ring);
        self->getters = Py_NewRef(getters);
        self->wake = Py_NewRef(wake);
        self->known = Py_NewRef(known);
    }
    return (PyObject *)self;
}

/* Let the first reader that waits go on. It does when this task rests: until then, once is enough. */
static int
pump_wake(Pump *self)
{
    Py_ssize_t waiting = PyObject_Size(self->getters);
    if (waiting <= 0)
        return waiting < 0 ? -1 : 0;
    self->woken = 1;
    PyObject *nothing = PyObject_CallNoArgs(self->wake);
    if (nothing == NULL)
        return -1;
    Py_DECREF(nothing);
    return 0;
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
    return self->woken ? 0 : pump_wake(self);
}

/* Whether the item that is held can be put without a decision: 1 yes, 0 no, -1 error. */
static inline int
pump_may_put(Pump *self)
{
    PyObject *type = (PyObject *)Py_TYPE(self->item);
    if (type != self->type) {
        int known = PySet_Contains(self->known, type);
        if (known <= 0)
            return known;
        Py_XSETREF(self->type, Py_NewRef(type));
    }
    return self->left > 0;
}

/* Begin to make the next item. */
static int
pump_ask(Pump *self)
{
    PyObject *items = Py_NewRef(self->items);
    PyObject *asked = Py_TYPE(items)->tp_as_async->am_anext(items);
    Py_DECREF(items);
    if (asked == NULL)
        return -1;
    Py_XSETREF(self->current, asked);
    return 0;
}

/* What comes of a step of the generator: an item is held, a future is passed up, the end is the value `None`. */
static PySendResult
pump_stepped(Pump *self, PySendResult result, PyObject *value, PyObject **out)
{
    *out = value;
    if (result == PYGEN_NEXT)
        return PYGEN_NEXT;
    Py_CLEAR(self->current);
    if (result == PYGEN_RETURN) {
        *out = NULL;
        Py_XSETREF(self->item, value);
        return PYGEN_RETURN;
    }
    *out = NULL;
    return PYGEN_ERROR;
}

/* Return to Python for a decision: True with an item held, False at the end of the generator. */
static PySendResult
pump_return(PyObject *answer, PyObject **out)
{
    *out = Py_NewRef(answer);
    return PYGEN_RETURN;
}

static PySendResult
pump_failed(PyObject **out)
{
    if (!PyErr_ExceptionMatches(PyExc_StopAsyncIteration))
        return PYGEN_ERROR;
    PyErr_Clear();
    return pump_return(Py_False, out);
}

/* Put the item that is held and go on until a wait or a decision. */
static PySendResult
pump_run(Pump *self, PyObject *arg, PyObject **out)
{
    for (;;) {
        if (self->item != NULL) {
            int may = pump_may_put(self);
            if (may == 0)
                return pump_return(Py_True, out);
            if (may < 0 || pump_put(self) < 0)
                return PYGEN_ERROR;
        }
        if (self->current == NULL) {
            if (pump_ask(self) < 0)
                return pump_failed(out);
            arg = Py_None;
        }
        PyObject *value = NULL, *current = Py_NewRef(self->current);
        PySendResult result = PyIter_Send(current, arg, &value);
        result = pump_stepped(self, result, value, out);
        Py_DECREF(current);
        if (result == PYGEN_NEXT)
            return PYGEN_NEXT;
        if (result == PYGEN_ERROR)
            return pump_failed(out);
    }
}

static PySendResult
pump_send(Pump *self, PyObject *arg, PyObject **out)
{
    *out = NULL;
    if (self->items == NULL || self->ring == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the pump was taken apart");
        return PYGEN_ERROR;
    }
    self->woken = 0;
    return pump_run(self, arg, out);
}

static PyObject *
pump_next(Pump *self)
{
    PyObject *value;
    PySendResult result = pump_send(self, Py_None, &value);
    return as_next(result, value);
}

static PyObject *
pump_send_method(Pump *self, PyObject *arg)
{
    PyObject *value;
    PySendResult result = pump_send(self, arg, &value);
    return as_next(result, value);
}

static PyObject *
pump_throw(Pump *self, PyObject *args)
{
    if (self->current == NULL) {
        raise_thrown(args);
        return NULL;
    }
    PyObject *value = NULL, *out = NULL, *current = Py_NewRef(self->current);
    PySendResult result = throw_into(current, args, &value);
    result = pump_stepped(self, result, value, &out);
    Py_DECREF(current);
    if (result == PYGEN_RETURN)
        return pump_next(self);
    if (result == PYGEN_ERROR) {
        result = pump_failed(&out);
        return as_next(result, out);
    }
    return out;
}

static PyObject *
pump_close(Pump *self, PyObject *Py_UNUSED(none))
{
    PyObject *current = self->current;
    if (current == NULL)
        Py_RETURN_NONE;
    self->current = NULL;
    PyObject *nothing = PyObject_CallMethod(current, "close", NULL);
    Py_DECREF(current);
    return nothing;
}

/* Take the item that is held out of the pump's hand. */
static PyObject *
pump_give(Pump *self, PyObject *Py_UNUSED(none))
{
    PyObject *item = self->item;
    if (item == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the pump holds no item");
        return NULL;
    }
    self->item = NULL;
    return item;
}

static int
pump_traverse(Pump *self, visitproc visit, void *arg)
{
    Py_VISIT(self->items);
    Py_VISIT(self->ring);
    Py_VISIT(self->getters);
    Py_VISIT(self->wake);
    Py_VISIT(self->known);
    Py_VISIT(self->type);
    Py_VISIT(self->current);
    Py_VISIT(self->item);
    return 0;
}

static int
pump_clear(Pump *self)
{
    Py_CLEAR(self->items);
    Py_CLEAR(self->ring);
    Py_CLEAR(self->getters);
    Py_CLEAR(self->wake);
    Py_CLEAR(self->known);
    Py_CLEAR(self->type);
    Py_CLEAR(self->current);
    Py_CLEAR(self->item);
    return 0;
}

static void
pump_dealloc(Pump *self)
{
    PyObject_GC_UnTrack(self);
    pump_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef pump_methods[] = {
    {"close", (PyCFunction)pump_close, METH_NOARGS, "Give the step that waits up."},
    {"give", (PyCFunction)pump_give, METH_NOARGS, "Take the item that is held."},
    {"send", (PyCFunction)pump_send_method, METH_O, "Go on."},
    {"throw", (PyCFunction)pump_throw, METH_VARARGS, "Raise an exception in the generator's wait."},
    {NULL},
};

static PyMemberDef pump_members[] = {
    FIELD(Pump, left, T_PYSSIZET, 0, "Room that was granted and is not used."),
    FIELD(Pump, item, T_OBJECT, READONLY, "The item that waits for a decision."),
    {NULL},
};

static PyAsyncMethods pump_as_async = {
    .am_await = PyObject_SelfIter,
    .am_send = (sendfunc)pump_send,
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
    .tp_iternext = (iternextfunc)pump_next,
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
