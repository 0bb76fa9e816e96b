// Reads and edits the notebook whose widget manager made this widget, as the kernel asks. Shows
// nothing. The messages, in JSON:
//   from here  {hello: {client, holds}}                 on request; holds: has the running cell
//   to here    {to: client, call, op, args}             only that client's page answers
//   from here  {client, call, ok} or {client, call, error: {cause, message, present}}

const MOST = 3_000_000; // characters of an answer; servers close a WebSocket at 10 MiB

class Refusal extends Error {
  constructor(cause, message, present) {
    super(message);
    Object.assign(this, { cause, present });
  }
}

// The names of cells whose id other cells have, too. They last as long as the page shows the cell.
const made = new WeakMap();

function names(notebook) {
  const often = new Map();
  for (const cell of notebook.cells) often.set(cell.getId(), (often.get(cell.getId()) ?? 0) + 1);
  return notebook.cells.map((cell) => {
    if (often.get(cell.getId()) > 1 && !made.has(cell))
      made.set(cell, Math.random().toString(16).slice(2, 10).padEnd(8, "0"));
    return made.get(cell) ?? cell.getId();
  });
}

function find(notebook, id) {
  const at = names(notebook).indexOf(id);
  if (at >= 0) return at;
  if (notebook.cells.some((cell) => cell.getId() === id))
    throw new Refusal("bad request", "The id " + id + " is not one cell's own: use a number.");
  throw new Refusal("no cell", "There is no cell " + id + ".");
}

function place(notebook, { after, edge }) {
  if (edge === "start") return 0;
  return edge === "end" ? notebook.cells.length : find(notebook, after) + 1;
}

function expected(cell, source) {
  const present = cell.getSource();
  if (present !== source)
    throw new Refusal("conflict", "The cell's source is another by now.", present);
}

function resting(cell) {
  if (cell.executionState === "running")
    throw new Refusal("running", "The cell runs, or waits to run.");
}

// Makes an edit that can be undone alone, without text typed just before or after it.
function step(shared, edit) {
  shared.undoManager?.stopCapturing();
  edit();
  shared.undoManager?.stopCapturing();
}

// The range where two texts differ: [start, end, new text]. Only it is changed, so that cursors and
// selections elsewhere stay. A pair of surrogates is never split.
function difference(old, next) {
  const shorter = Math.min(old.length, next.length);
  let start = 0;
  while (start < shorter && old[start] === next[start]) start++;
  if (/[\uD800-\uDBFF]/.test(old[start - 1] ?? "")) start--;
  let same = 0;
  while (same < shorter - start && old[old.length - 1 - same] === next[next.length - 1 - same])
    same++;
  if (same && /[\uDC00-\uDFFF]/.test(old[old.length - same])) same--;
  return [start, old.length - same, next.slice(start, next.length - same)];
}

const READS = {
  describe: ({ context, notebook }) => ({
    path: context.localPath ?? context.path,
    dirty: context.model.dirty,
    cells: notebook.cells.length,
    collaborative: !!context.model.collaborative,
    read_only: !!context.model.readOnly,
  }),

  cells({ notebook }) {
    const known = names(notebook);
    return notebook.cells.map((cell, at) => {
      const { trusted, ...metadata } = cell.getMetadata(); // never saved
      return {
        id: known[at],
        shared: known[at] === cell.getId() ? "" : cell.getId(),
        kind: cell.cell_type,
        source: cell.getSource(),
        execution_count: cell.execution_count ?? null,
        metadata,
        running: cell.executionState === "running",
      };
    });
  },

  outputs: ({ notebook }, { id }) => notebook.cells[find(notebook, id)].toJSON().outputs ?? [],
};

const EDITS = {
  // Cells that exist already are left alone, since the kernel may ask twice.
  insert({ notebook }, { cells, ...where }) {
    const known = new Set(notebook.cells.map((cell) => cell.getId()));
    const fresh = cells.filter((cell) => !known.has(cell.id));
    const at = place(notebook, where);
    if (fresh.length) step(notebook, () => notebook.insertCells(at, fresh));
  },

  replace({ notebook }, { id, source, expect }) {
    const cell = notebook.cells[find(notebook, id)];
    if (cell.getSource() === source) return;
    expected(cell, expect);
    step(cell, () => cell.updateSource(...difference(expect, source)));
  },

  delete({ notebook }, { id, expect }) {
    const at = find(notebook, id);
    expected(notebook.cells[at], expect);
    resting(notebook.cells[at]);
    step(notebook, () => notebook.deleteCell(at));
  },

  move({ notebook }, { id, ...where }) {
    const from = find(notebook, id);
    resting(notebook.cells[from]);
    const before = place(notebook, where);
    const to = before > from ? before - 1 : before;
    if (to !== from) step(notebook, () => notebook.moveCell(from, to));
  },

  // Trusted like a cell that the user ran. Earlier outputs do not become trusted.
  set_outputs({ context, notebook }, { id, outputs, execution_count }) {
    const at = find(notebook, id);
    const cell = notebook.cells[at];
    if (cell.cell_type !== "code") throw new Refusal("bad request", "It is no code cell.");
    resting(cell);
    cell.setOutputs([]);
    context.model.cells.get(at).trusted = true;
    cell.setOutputs(outputs);
    cell.execution_count = execution_count;
  },

  set_metadata({ notebook }, { id, key, value }) {
    const cell = notebook.cells[find(notebook, id)];
    if (key === "trusted") throw new Refusal("bad request", "Trust is the person's to give.");
    if (value === null) cell.deleteMetadata(key);
    else cell.setMetadata(key, value);
  },

  save: ({ context }) => context.save(),
};

async function answer(here, { op, args }) {
  try {
    const edits = Object.hasOwn(EDITS, op);
    if (!edits && !Object.hasOwn(READS, op))
      throw new Refusal("bad request", "There is no operation " + op + ".");
    if (edits && here.context.model.readOnly)
      throw new Refusal("read only", "The notebook cannot be written.");
    const ok = (await (edits ? EDITS : READS)[op](here, args)) ?? null;
    if (JSON.stringify(ok).length > MOST) throw new Refusal("too large", "It is too much to send.");
    return { ok };
  } catch (error) {
    if (!(error instanceof Refusal)) return { error: { cause: "failed", message: String(error) } };
    return { error: { cause: error.cause, message: error.message, present: error.present } };
  }
}

async function initialize({ model }) {
  const context = model.widget_manager?.context;
  const notebook = context?.model?.sharedModel;
  if (!notebook?.insertCells) return; // no notebook here, so do not greet
  await context.ready;
  const client = context.sessionContext?.session?.kernel?.clientId ?? String(Math.random());
  model.on("msg:custom", async (message) => {
    if (message.to !== client) return;
    const answered = await answer({ context, notebook }, message);
    model.send({ client, call: message.call, ...answered });
  });
  const greet = () => {
    const holds = notebook.cells.some((cell) => cell.getId() === model.get("cell"));
    model.send({ hello: { client, holds } });
  };
  model.on("change", greet);
  if (model.get("cell")) greet();
}

export default { initialize };
