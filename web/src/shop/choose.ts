// Choosing: how many, in which section, or which seats exactly.
import { jitterMs, sleep } from '../backoff';
import { byId, make, onPress, setText, show } from '../dom';
import { Watched } from '../http';
import { formatMoney } from '../money';
import { inWords, endsShopping } from '../problem';
import { region, shop as words } from '../text';
import { availability, type EventInfo, type Section, type SeatName } from '../wire';
import { Picker } from './picker';

/** How often free places are asked for, in milliseconds. */
const REFRESH_MS = 2000;
/** The seat plan is large: it comes with every so many of these. */
const PLAN_EVERY = 2;

/** What the visitor wants to hold. */
export type Wish =
  | { readonly section: string; readonly quantity: number }
  | { readonly seats: readonly SeatName[] };

export interface Callbacks {
  /** Reserves; resolves when that has worked or been explained. */
  readonly hold: (wish: Wish) => Promise<void>;
  readonly ended: () => void;
}

interface Card {
  readonly seated: boolean;
  readonly element: HTMLElement;
  readonly left: HTMLElement;
  readonly price: HTMLElement;
  readonly take: HTMLButtonElement;
  readonly pick: HTMLButtonElement;
}

/** A button's words; read aloud they name the section too, for there is one of each in every card. */
function label(button: HTMLElement, text: string, section: string): void {
  setText(button, text);
  button.setAttribute('aria-label', `${text}: ${section}`);
}

export class Choose {
  private readonly watched: Watched<Section[]>;
  private readonly cards = new Map<string, Card>();
  private picker: { readonly section: string; readonly it: Picker } | null = null;
  private sections: readonly Section[] = [];
  private quantity: number;
  private running = 0;

  constructor(
    private readonly event: EventInfo, private readonly max: number,
    private readonly callbacks: Callbacks,
  ) {
    this.watched = new Watched(
      `/api/v1/events/${encodeURIComponent(event.event)}/availability`, availability,
    );
    this.quantity = Math.min(2, max);
    setText(byId('limit'), words.limit(max));
    byId('fewer').addEventListener('click', () => this.setQuantity(this.quantity - 1));
    byId('more').addEventListener('click', () => this.setQuantity(this.quantity + 1));
    this.setQuantity(this.quantity);
  }

  /** Shows free places and keeps them fresh until [`stop`]. */
  async start(): Promise<void> {
    const mine = (this.running += 1);
    for (let round = 0; mine === this.running; round += 1) {
      if (document.visibilityState === 'visible') await this.refresh(round % PLAN_EVERY === 0);
      await sleep(jitterMs(REFRESH_MS, Math.random));
    }
  }

  stop(): void {
    this.running += 1;
  }

  /** Asks once, now. */
  async refresh(withPlan = true): Promise<void> {
    try {
      const sections = await this.watched.changed();
      if (sections !== null) this.render(sections);
      if (withPlan) await this.picker?.it.refresh();
      setText(byId('stale'), '');
    } catch (error) {
      if (endsShopping(error)) this.callbacks.ended();
      else setText(byId('stale'), inWords(error));
    }
  }

  private setQuantity(wanted: number): void {
    this.quantity = Math.min(Math.max(1, wanted), this.max);
    setText(byId('quantity'), String(this.quantity));
    byId('fewer').setAttribute('aria-disabled', String(this.quantity === 1));
    byId('more').setAttribute('aria-disabled', String(this.quantity === this.max));
    this.render(this.sections);
  }

  private render(sections: readonly Section[]): void {
    this.sections = sections;
    for (const section of sections) {
      const card = this.cards.get(section.section) ?? this.addCard(section);
      setText(card.left, section.free > 0 ? words.left(section.free) : words.none);
      setText(card.price, `${formatMoney(section.price, region)} ${words.each}`);
      card.element.classList.toggle('gone', section.free === 0);
      show(card.take, section.free > 0);
      show(card.pick, card.seated && (section.free > 0 || this.picker?.section === section.section));
      const take = (card.seated ? words.best : words.places)(this.quantity);
      label(card.take, take, section.section);
    }
    show(byId('sold-out'), sections.length > 0 && sections.every((section) => section.free === 0));
  }

  private addCard(section: Section): Card {
    const name = section.section;
    const seated = this.event.kinds.get(name) === 'seated';
    const heading = make('h3', {}, name);
    const left = make('p', { class: 'left' });
    const price = make('p', { class: 'price' });
    const take = make('button', { type: 'button', class: 'primary' });
    const pick = make('button', { type: 'button', 'aria-expanded': 'false' });
    label(pick, words.pick, name);
    const element = make('li', { class: 'card section' }, heading, price, left,
      make('div', { class: 'actions' }, take, pick));
    const card = { seated, element, left, price, take, pick };
    onPress(take, () => this.callbacks.hold({ section: name, quantity: this.quantity }));
    onPress(pick, () => this.togglePicker(name));
    this.cards.set(name, card);
    byId('sections').append(element);
    return card;
  }

  private async togglePicker(section: string): Promise<void> {
    const open = this.picker;
    if (open !== null) {
      open.it.element.remove();
      const card = this.cards.get(open.section);
      card?.pick.setAttribute('aria-expanded', 'false');
      if (card !== undefined) label(card.pick, words.pick, open.section);
      this.picker = null;
      if (open.section === section) return;
    }
    const card = this.cards.get(section);
    if (card === undefined) return;
    const it = new Picker(this.event.event, section, this.max, (seats) => {
      void this.callbacks.hold({ seats });
    });
    this.picker = { section, it };
    card.pick.setAttribute('aria-expanded', 'true');
    label(card.pick, words.hidePicker, section);
    card.element.append(it.element);
    await this.refresh();
  }
}
