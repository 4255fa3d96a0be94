// The seat plan of one section: rows of buttons, one stop for Tab, arrow keys within.
import { make, setText, show } from '../dom';
import { Watched } from '../http';
import { shop as words } from '../text';
import { seats as decodeSeats, type Seat, type SeatName } from '../wire';

interface Cell {
  readonly button: HTMLButtonElement;
  readonly name: SeatName;
  readonly row: number;
  readonly column: number;
  state: Seat['state'];
}

export class Picker {
  readonly element: HTMLElement;
  private readonly watched: Watched<Seat[]>;
  private readonly plan = make('div', { class: 'plan' });
  private readonly summary = make('p', { role: 'status' });
  private readonly take: HTMLButtonElement;
  private readonly cells = new Map<string, Cell>();
  private rows: Cell[][] = [];
  private readonly chosen = new Set<Cell>();

  constructor(
    event: string, private readonly section: string, private readonly max: number,
    hold: (seats: SeatName[]) => void,
  ) {
    this.watched = new Watched(
      `/api/v1/events/${encodeURIComponent(event)}/sections/${encodeURIComponent(section)}/seats`,
      decodeSeats,
    );
    this.take = make('button', { class: 'primary', type: 'button', onclick: () => {
      hold([...this.chosen].map((cell) => cell.name));
    } }, words.holdChosen);
    this.element = make('div', { class: 'picker', role: 'group', 'aria-label': words.seatPlan(section) },
      make('p', { class: 'hint' }, words.seatHelp),
      this.legend(),
      make('div', { class: 'plan-scroll' }, make('p', { class: 'stage' }, words.stage), this.plan),
      this.summary, this.take);
    this.plan.addEventListener('keydown', (key) => this.onKey(key));
    this.summarise();
  }

  /** Asks for the seats; only what has changed is touched. */
  async refresh(): Promise<void> {
    const seats = await this.watched.changed();
    if (seats === null) return;
    if (this.cells.size !== seats.length) this.build(seats);
    for (const seat of seats) {
      const cell = this.cells.get(keyOf(seat));
      if (cell === undefined || cell.state === seat.state) continue;
      cell.state = seat.state;
      if (seat.state !== 'free') this.chosen.delete(cell);
      this.paint(cell);
    }
    this.summarise();
  }

  private legend(): HTMLElement {
    const item = (look: string, label: string): HTMLElement =>
      make('li', {}, make('span', { class: `seat ${look}`, 'aria-hidden': 'true' }), label);
    return make('ul', { class: 'legend' },
      item('free', words.state.free), item('mine', words.state.mine), item('taken', words.state.sold));
  }

  private build(seats: readonly Seat[]): void {
    this.cells.clear();
    this.chosen.clear();
    this.rows = [];
    const byRow = new Map<string, Seat[]>();
    for (const seat of seats) byRow.set(seat.row, [...(byRow.get(seat.row) ?? []), seat]);
    const lines: HTMLElement[] = [];
    for (const [name, row] of byRow) {
      if (row.every((seat) => seat.x !== null)) row.sort((a, b) => (a.x ?? 0) - (b.x ?? 0));
      const index = this.rows.length;
      const cells = row.map((seat, column) => this.cell(seat, index, column));
      this.rows.push(cells);
      lines.push(make('div', { class: 'seat-row' },
        make('span', { class: 'row-name', 'aria-hidden': 'true' }, name),
        ...cells.map((cell) => cell.button)));
    }
    this.plan.replaceChildren(...lines);
    const first = this.rows.flat().find((cell) => cell.state === 'free') ?? this.rows[0]?.[0];
    if (first !== undefined) first.button.tabIndex = 0;
  }

  private cell(seat: Seat, row: number, column: number): Cell {
    const button = make('button', { type: 'button', tabindex: '-1' }, seat.seat);
    const name = { section: this.section, row: seat.row, seat: seat.seat };
    const cell: Cell = { button, name, row, column, state: seat.state };
    button.addEventListener('click', () => this.toggle(cell));
    this.cells.set(keyOf(seat), cell);
    this.paint(cell);
    return cell;
  }

  private toggle(cell: Cell): void {
    this.focus(cell);
    if (cell.state !== 'free') return;
    if (this.chosen.has(cell)) {
      this.chosen.delete(cell);
    } else if (this.chosen.size < this.max) {
      this.chosen.add(cell);
    } else {
      setText(this.summary, words.limitReached(this.max));
      return;
    }
    this.paint(cell);
    this.summarise();
  }

  private paint(cell: Cell): void {
    const mine = this.chosen.has(cell);
    const look = cell.state !== 'free' ? 'taken' : mine ? 'mine' : 'free';
    cell.button.className = `seat ${look}`;
    cell.button.setAttribute('aria-pressed', String(mine));
    cell.button.setAttribute('aria-disabled', String(cell.state !== 'free'));
    const state = mine ? words.state.mine : words.state[cell.state];
    cell.button.setAttribute('aria-label', words.seatLabel(cell.name.row ?? '', cell.name.seat ?? '', state));
  }

  private summarise(): void {
    setText(this.summary, this.chosen.size === 0 ? '' : words.chosen(this.chosen.size));
    show(this.take, this.chosen.size > 0);
  }

  private focus(cell: Cell): void {
    for (const other of this.plan.querySelectorAll<HTMLButtonElement>('button[tabindex="0"]')) {
      other.tabIndex = -1;
    }
    cell.button.tabIndex = 0;
    cell.button.focus();
  }

  private onKey(key: KeyboardEvent): void {
    const here = [...this.cells.values()].find((cell) => cell.button === document.activeElement);
    if (here === undefined) return;
    const row = this.rows[here.row] ?? [];
    const near = (offset: number): Cell | undefined => {
      const other = this.rows[here.row + offset];
      return other?.[Math.min(here.column, other.length - 1)];
    };
    const moves: Record<string, Cell | undefined> = {
      ArrowLeft: row[here.column - 1], ArrowRight: row[here.column + 1],
      ArrowUp: near(-1), ArrowDown: near(1), Home: row[0], End: row.at(-1),
    };
    if (!(key.key in moves)) return;
    key.preventDefault();
    const next = moves[key.key];
    if (next !== undefined) this.focus(next);
  }
}

const keyOf = (seat: Seat): string => JSON.stringify([seat.row, seat.seat]);
