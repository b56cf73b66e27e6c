import { button, element } from './lab.js';
const EXERCISE = /\bexercise\(\s*["']([\w.]+)["']/;
const SETTLED = 300; // milliseconds without a change, after which the cells are looked at
export class Exercises {
    constructor(lab, course) {
        this.lab = lab;
        this.course = course;
        this.bars = new WeakMap();
        window.addEventListener('keydown', keepPlainKeys, true);
    }
    /** Put bars over a lesson's exercise cells, and keep them right as cells come, go and change. */
    watch(panel) {
        let timer = 0;
        const later = () => {
            window.clearTimeout(timer);
            timer = window.setTimeout(() => !panel.isDisposed && this.mark(panel), SETTLED);
        };
        const stop = this.course.onChange(() => this.mark(panel));
        panel.content.modelContentChanged.connect(later);
        panel.disposed.connect(() => {
            stop();
            window.clearTimeout(timer);
        });
        this.mark(panel);
    }
    /** Go to the next exercise that is not passed, from the active cell on and round to the top -> whether there is one. */
    async goToNext(panel) {
        const cells = panel.content.widgets;
        const here = panel.content.activeCellIndex;
        const order = cells.map((_, i) => (here + 1 + i) % cells.length);
        const place = order.find(i => this.isOpen(cells[i]));
        if (place === undefined) {
            return false;
        }
        await this.show(panel, place);
        return true;
    }
    async goTo(panel, id) {
        const place = panel.content.widgets.findIndex(cell => exerciseOf(cell) === id);
        if (place >= 0) {
            await this.show(panel, place);
        }
    }
    async show(panel, place) {
        panel.content.activeCellIndex = place;
        panel.content.deselectAll();
        await panel.content.scrollToItem(place, 'center');
        panel.content.activate();
    }
    isOpen(cell) {
        const id = exerciseOf(cell);
        return !!id && !!this.course.exercise(id) && this.course.exercise(id)?.state !== 'passed';
    }
    mark(panel) {
        for (const cell of panel.isDisposed ? [] : panel.content.widgets) {
            const id = exerciseOf(cell);
            const bar = this.bars.get(cell);
            if (bar && bar.id !== id) {
                bar.widget.dispose();
                this.bars.delete(cell);
            }
            if (!id || !this.course.exercise(id)) {
                continue;
            }
            if (bar && bar.id === id) {
                bar.draw();
            }
            else {
                this.add(panel, cell, id);
            }
        }
    }
    add(panel, cell, id) {
        const bar = this.bar(panel, cell, id);
        this.bars.set(cell, bar);
        void cell.ready.then(() => {
            if (!cell.isDisposed && !bar.widget.isDisposed) {
                cell.layout.insertWidget(1, bar.widget); // below the cell's header, above its input
            }
        });
    }
    bar(panel, cell, id) {
        const { trans, widgets } = this.lab;
        const state = element('span', { class: 'bn-exercise-state' });
        const said = element('pre', { class: 'bn-exercise-said', role: 'status' });
        const actions = element('span', { class: 'bn-actions' }, button(trans.__('Check'), () => this.check(panel, cell, said), { 'aria-label': trans.__('Check %1', id) }), button(trans.__('Hint'), () => this.tell(panel, id, 'hint', said), { 'aria-label': trans.__('Hint to %1', id) }), button(trans.__('Solution'), () => this.solution(panel, id, said), { 'aria-label': trans.__('Solution of %1', id) }), button(trans.__('Next'), () => this.lab.app.commands.execute('bigmodel-nb:next-exercise'), {
            'aria-label': trans.__('Go to the next open exercise')
        }));
        const label = trans.__('Exercise %1', id);
        const node = element('div', { class: 'bn-exercise', role: 'group', 'aria-label': label }, state, actions, said);
        const draw = () => {
            const known = this.course.exercise(id)?.state ?? 'open';
            const words = { open: trans.__('open'), begun: trans.__('begun'), passed: trans.__('passed') };
            node.dataset.state = known;
            state.textContent = `${id}: ${words[known]}`;
        };
        draw();
        return { id, widget: new widgets.Widget({ node }), draw };
    }
    /** Running an exercise's cell checks it. */
    async check(panel, cell, said) {
        panel.content.activeCellIndex = panel.content.widgets.indexOf(cell);
        panel.content.deselectAll();
        await this.lab.app.commands.execute('notebook:run-cell');
        const advice = this.lab.trans.__('Did the cells above run in this kernel? If not: Run, Run All Above Selected Cell.');
        if (cell.model.outputs.toJSON().some(it => it.ename === 'NameError')) {
            said.textContent = advice;
        }
        else if (said.textContent === advice) {
            said.textContent = '';
        }
    }
    async solution(panel, id, said) {
        const { apputils, trans } = this.lab;
        const answer = await apputils.showDialog({
            title: trans.__('Show the solution?'),
            body: trans.__('Your progress will say that you have seen it.'),
            buttons: [apputils.Dialog.cancelButton(), apputils.Dialog.okButton({ label: trans.__('Show it') })]
        });
        if (answer.button.accept) {
            await this.tell(panel, id, 'solution', said);
        }
    }
    /** Ask the kernel for a hint or the solution; its plain text appears below the bar, and not in the notebook. */
    async tell(panel, id, what, said) {
        const { trans } = this.lab;
        const kernel = panel.sessionContext.session?.kernel;
        said.textContent = kernel ? trans.__('Asking the kernel …') : trans.__('There is no kernel. Start one, then ask again.');
        if (!kernel) {
            return;
        }
        const texts = [];
        try {
            const asked = kernel.requestExecute({ code: `__import__("bigmodel_nb").${what}("${id}")`, store_history: false });
            asked.onIOPub = message => {
                const content = message.content;
                const text = content.data?.['text/plain'] ?? content.text ?? content.evalue;
                if (typeof text === 'string') {
                    texts.push(text);
                }
            };
            await asked.done;
            said.textContent = texts.join('\n');
            await this.course.refresh();
        }
        catch {
            said.textContent = texts.join('\n') || trans.__('The kernel did not answer. Try again.');
        }
    }
}
/** In a bar, keys without a modifier are for its buttons: else Enter would edit the cell. */
function keepPlainKeys({ target, altKey, ctrlKey, metaKey }) {
    const bar = target instanceof Element ? target.closest('.bn-exercise') : null;
    bar?.toggleAttribute('data-lm-suppress-shortcuts', !(altKey || ctrlKey || metaKey));
}
/** The id of the exercise that a code cell holds; "" for any other cell. */
export function exerciseOf(cell) {
    return cell.model.type === 'code' ? exerciseIn(cell.model.sharedModel.getSource()) : '';
}
export function exerciseIn(source) {
    return EXERCISE.exec(source)?.[1] ?? '';
}
