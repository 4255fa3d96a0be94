// Money as the API sends it: minor units and an ISO 4217 code.

export interface Money {
  readonly amountMinor: number;
  readonly currency: string;
}

/** The amount as people write it, with as many decimals as the currency has. */
export function formatMoney(money: Money, locale: string): string {
  const format = new Intl.NumberFormat(locale, { style: 'currency', currency: money.currency });
  const decimals = format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(money.amountMinor / 10 ** decimals);
}

/** A price times a quantity. */
export function times(money: Money, quantity: number): Money {
  return { amountMinor: money.amountMinor * quantity, currency: money.currency };
}
