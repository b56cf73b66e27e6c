import { element } from './lab.js';
export const numbered = (lesson) => `${String(lesson.number).padStart(2, '0')} ${lesson.title}`;
export class Lessons {
    constructor(lab, course) {
        this.lab = lab;
        this.course = course;
    }
    /** The lesson whose notebook is in front. */
    current() {
        const panel = this.lab.tracker?.currentWidget;
        return panel ? this.course.at(panel.context.localPath) : undefined;
    }
    /** Open the learner's copy; it is made where there is none. */
    async open(lesson) {
        return this.guarded(async () => {
            const path = await this.course.copy(lesson);
            const panel = await this.lab.app.commands.execute('docmanager:open', { path, factory: 'Notebook' });
            await this.course.refresh();
            return panel;
        });
    }
    async openBeside(steps) {
        const here = this.current();
        const wanted = here && this.course.beside(here, steps);
        if (wanted) {
            await this.open(wanted);
        }
    }
    /** Go on with the lesson that was worked on last; the first one where all are done. */
    async continue() {
        await this.guarded(() => this.course.refresh());
        const { lessons, next } = this.course.overview;
        const wanted = this.course.lesson(next) ?? lessons[0];
        if (wanted) {
            await this.open(wanted);
        }
    }
    /** Put the original in place once the learner agrees -> what became of the learner's version. */
    async reset(lesson) {
        const { apputils, trans } = this.lab;
        const answer = await apputils.showDialog({
            title: trans.__('Reset %1?', numbered(lesson)),
            body: trans.__('The original takes its place. Your version is kept beside it, under a name with the date.'),
            buttons: [apputils.Dialog.cancelButton(), apputils.Dialog.warnButton({ label: trans.__('Reset') })]
        });
        return answer.button.accept ? this.restore(lesson) : undefined;
    }
    /** Show what a newer original changes; take it over only if the learner says so. */
    async update(lesson) {
        const { apputils, trans, widgets } = this.lab;
        return this.guarded(async () => {
            const { against, cells } = await this.course.difference(lesson);
            const body = new widgets.Widget({ node: this.changes(cells, against) });
            const answer = await apputils.showDialog({
                title: trans.__('What is new in %1', numbered(lesson)),
                body,
                defaultButton: 0,
                buttons: [
                    apputils.Dialog.cancelButton({ label: trans.__('Keep mine') }),
                    apputils.Dialog.okButton({ label: trans.__('Take the new one; keep mine beside it') })
                ]
            });
            return answer.button.accept ? this.restore(lesson) : undefined;
        });
    }
    restore(lesson) {
        return this.guarded(async () => {
            const { tracker, trans } = this.lab;
            const panel = tracker?.find(it => it.context.localPath === lesson.path);
            if (panel?.context.model.dirty) {
                await panel.context.save(); // so that the version that is kept holds the last keystroke
            }
            const { kept } = await this.course.reset(lesson);
            await panel?.context.revert();
            await this.course.refresh();
            const said = trans.__('%1 is the original again.', numbered(lesson));
            return kept ? `${said} ${trans.__('Your version: %1', kept)}` : said;
        });
    }
    changes(cells, against) {
        const { trans } = this.lab;
        const kinds = { added: trans.__('New cell'), removed: trans.__('Cell taken out'), changed: trans.__('Changed cell') };
        const intro = against === 'original'
            ? trans.__('Compared with the original that you began with:')
            : trans.__('Compared with your version, as the original that you began with is gone:');
        const shown = cells.map(cell => {
            const title = cell.mine && against === 'original' ? `${kinds[cell.kind]} ${trans.__('(you changed it, too)')}` : kinds[cell.kind];
            const marks = { '+': 'bn-added', '-': 'bn-removed' };
            const lines = cell.lines.map(line => element('div', { class: marks[line[0]] ?? '' }, line || ' '));
            return element('section', {}, element('h4', {}, title), element('pre', { tabindex: '0' }, ...lines));
        });
        const nothing = cells.length ? [] : [element('p', {}, trans.__('No cell differs.'))];
        return element('div', { class: 'bn-changes' }, element('p', {}, intro), ...nothing, ...shown);
    }
    /** Do something; where it fails, say why in a dialog. */
    async guarded(work) {
        try {
            return await work();
        }
        catch (error) {
            const text = error instanceof Error ? error.message : String(error);
            await this.lab.apputils.showErrorMessage(this.lab.trans.__('Course'), text);
            return undefined;
        }
    }
}
