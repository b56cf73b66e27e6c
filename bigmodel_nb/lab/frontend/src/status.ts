// The figures in the status bar.
import type { Widget } from '@lumino/widgets';

import type { Course, IMachine } from './course.js';
import { bytes, element } from './lab.js';
import type { ILab } from './lab.js';

const EVERY = 5000; // milliseconds

export function createStatus(lab: ILab, course: Course): Widget {
  const { trans } = lab;
  const text = element('span');
  const warning = element('span', { class: 'bn-warning', role: 'status' });
  const node = element('div', { class: 'bn-status', tabindex: '0', role: 'group', 'aria-label': trans.__('Machine') }, text, warning);

  const draw = (machine: IMachine) => {
    text.textContent = figures(lab, machine).join(' | ');
    const low = machine.low ? ` ${trans.__('Only %1 of memory is free.', bytes(machine.free))}` : '';
    if (warning.textContent !== low) {
      warning.textContent = low;
    }
    const why = machine.reason ?? trans.__('The device is being looked for.');
    const names = machine.gpus.map(gpu => gpu.name);
    node.title = [why, ...names, trans.__('%1 of memory is free.', bytes(machine.free))].join('\n');
    node.setAttribute('aria-description', node.title);
  };

  const look = async () => {
    if (document.hidden) {
      return;
    }
    try {
      draw(await course.machine(lab.tracker?.currentWidget?.sessionContext.session?.kernel?.id));
    } catch {
      text.textContent = ''; // the server is away; JupyterLab says so itself
    }
  };

  const widget = new lab.widgets.Widget({ node });
  const timer = window.setInterval(() => void look(), EVERY);
  widget.disposed.connect(() => window.clearInterval(timer));
  lab.tracker?.currentChanged.connect(() => void look());
  void look();
  return widget;
}

/** What is shown, part by part. */
export function figures(lab: Pick<ILab, 'trans'>, machine: IMachine): string[] {
  const { trans } = lab;
  return [
    ...(machine.device ? [`${machine.device} ${machine.dtype ?? ''}`.trim()] : []),
    trans.__('kernel %1 of %2', bytes(machine.kernels), bytes(machine.limit)),
    ...machine.gpus.map(gpu => trans.__('GPU %1 of %2', bytes(gpu.used), bytes(gpu.total)))
  ];
}
